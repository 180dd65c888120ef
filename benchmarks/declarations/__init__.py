"""The same ten tables, declared in three tools; `python -m benchmarks.declarations` counts what it takes."""
