"""What Prefect is told of a run while it goes on."""
