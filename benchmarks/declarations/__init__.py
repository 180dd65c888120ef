"""The same ten tables, declared in four tools; `python -m benchmarks.declarations` counts what it takes."""
