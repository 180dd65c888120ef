"""The Prefect side."""
