"""Pages of a pipeline in Prefect's UI: pure text and numbers; whatever came from outside is escaped."""
