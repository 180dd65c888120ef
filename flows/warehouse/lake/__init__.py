"""Lake sources: their files, what these hold, and what a load may read of them.

Way in: `folder.list_folder(folder)` for the files, `view.LakeView` for one decision's look at all folders.

| module | what it holds |
| --- | --- |
| `folder` | a source's location, the listing of its files, and a token that changes with any of them |
| `shape` | the columns of a folder by name over all files, and the files that do not fit |
| `faults` | a file that some or all readers leave out, and why |
| `footers` | what footers said in earlier runs |
| `view` | the lake as one decision sees it: each folder listed once, and which reader leaves out which file |
| `formats/` | text files, CSV and JSON: each is copied to Parquet once |
| `variable` | the listing that a load may read, as the macros take it |

Never imported here: Prefect, dbt. boto3 and duckdb are imported inside functions only.
"""
