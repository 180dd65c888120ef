"""Running the pipelines: gate, engine, dbt, Prefect, command line."""
