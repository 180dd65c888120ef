"""Forms in Prefect's UI: what people may change there, by the same functions as on the command line."""
