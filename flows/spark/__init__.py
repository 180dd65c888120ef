"""Spark: which targets run there, on which cluster, at what cost, and how their results reach the load.

Way in: `run_hook.SparkInRun`, which the engine calls before each wave; `stage.SparkStage` does the work.

| module or package | what it holds |
| --- | --- |
| `engine_choice` | warehouse or Spark, for each target that is due |
| `cost_caps` | what clusters may cost per run and month |
| `run_hook` | the hook in a run; imports the rest only when a target runs on Spark |
| `stage` | clusters, results and costs of one run |
| `preparation` | the jobs of a wave with their windows |
| `jobs`, `spark_job` | what the Spark script gets, and the script itself |
| `lake_files` | the listed files that a job reads of its lake sources |
| `spark_functions` | functions that Spark lacks, for the script: JSON as the warehouse reads it |
| `results` | manifests and error files that jobs write |
| `backend`, `local`, `emr/` | the protocol of backends, and the two that exist |
| `sizing/` | cluster size, duration and cost |
| `progress` | reports of clusters and steps to the run's observer |
| `settings`, `aws`, `sigterm` | settings; AWS clients and errors; clusters are closed on SIGTERM |

Never imported here: Prefect, dbt. boto3 and pyspark are imported inside functions, pyspark only by `spark_job`.
"""
