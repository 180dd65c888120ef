"""Tests of targets on a few frozen rows: `sluice test create` and `sluice test`. Ways in: `create_test`, `run_tests`.

| module | what it does |
| --- | --- |
| create | makes a test file: sample, mask, cut into batches, play, check, write |
| sample | reads rows that join from the warehouse or the lake |
| mask | replaces personal values, equal ones by equal ones |
| batches | cuts the sample into batches: first load, increment, late event, delete |
| select | a SELECT on DuckDB over a few rows, and whether the warehouse agrees |
| run | runs test files: dbt's unit tests, and histories by the loads themselves |
| scratch | the project in a temporary folder that the tests run in |
| diff | compares rows and shows what differs |
| report | results for people, as JSON and as JUnit |

No test touches the environment: `run` and `scratch` never open its warehouse. Never import this from `flows.engine`.
"""
