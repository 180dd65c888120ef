{#- Whether Redshift's COPY loads a column of Parquet that Spark wrote into a column of a table.

    Args:
        written_type (str): Spark's name of the column's type.
        column_type (str): the table's.
    Returns: bool.
-#}
{% macro parquet_fits(written_type, column_type) %}
    {%- set fitting = {
        "string": [
            "varchar",
            "character varying",
            "char",
            "character",
            "bpchar",
            "nvarchar",
            "text",
        ],
        "smallint": ["smallint", "int2"],
        "int": ["integer", "int", "int4"],
        "bigint": ["bigint", "int8"],
        "float": ["real", "float4"],
        "double": ["double precision", "double", "float8", "float"],
        "boolean": ["boolean", "bool"],
        "date": ["date"],
        "timestamp": [
            "timestamp",
            "timestamp without time zone",
            "timestamptz",
            "timestamp with time zone",
        ],
        "timestamp_ntz": ["timestamp", "timestamp without time zone"],
        "decimal": ["decimal", "numeric"],
    } -%}
    {%- set written = (written_type | lower | replace(" ", "")).split("(") -%}
    {%- set wanted = (column_type | lower | trim).split("(") -%}
    {%- set is_same_size = written[0] != "decimal" or written[1:] == (
        wanted[1:] | map("replace", " ", "") | list
    ) -%}
    {{ return(wanted[0] | trim in fitting.get(written[0], []) and is_same_size) }}
{% endmacro %}
