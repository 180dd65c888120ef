"""Text formats of lake sources: CSV and JSON. Each file is read once and copied to Parquet, which loads and Spark read.

Way in: `copies.Copies.make`, which copies the files that are new or changed.

| module | what it holds |
| --- | --- |
| `content` | a file's characters: where it lies, how it is compressed and encoded, and what is no text at all |
| `rows` | the protocol of a format: records of text, lines that are none |
| `csv_rows` | CSV |
| `json_rows` | JSON: one object per line, or one array |
| `nested` | declared types of nested values |
| `values` | what a text must look like to be a value of a type, and which type a column of texts has |
| `copy_file` | one file: its records become Parquet, and those that cannot be read become rejects |
| `copies` | the copies of a source, kept between runs |

To add a format: a class with the methods of `rows.RowReader`, named in `rows.reader_of`.
Parquet needs none of this: `shape` and DuckDB read it as it is.
"""
