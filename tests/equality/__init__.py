"""The proof that a SELECT gives the same table on DuckDB and on Spark; `make spark-matrix` runs it.

values.py holds a table of awkward values, expressions.py every rule times types, selects.py whole SELECTs, engines.py
runs them on both. tests/spark/test_spark_equality.py runs a slice.
"""
