"""The local Prefect server."""
