"""The gate: RUN, SKIP or HOLD for each target."""
