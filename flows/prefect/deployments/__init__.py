"""Prefect's deployments kept in step with the control rows: what shall be, what is, and the difference."""
