"""Pages of a pipeline in Prefect's UI, as Markdown. All values are escaped.

Way in: `writer.write_pages(executed, store)`.

| module | what it holds |
| --- | --- |
| `summary` | the run summary, `headline` and `escape` |
| `gate` | the gate's decisions with their evidence |
| `freshness` | the age of the pipeline's tables |
| `lineage` | sources and readers of each target as a tree |
| `trend` | durations of the last runs by phase, with regressions |
| `problems` | what is wrong now in an environment |
| `markdown` | Markdown tables |
| `writer` | writes the pages as artifacts; the only module that imports prefect |
"""
