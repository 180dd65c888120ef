{#- A SELECT of the rows that Spark wrote.

    Args:
        load (dict): the load.
        result (dict): see result.
    Returns: str.
    Raises: on a warehouse that cannot read Parquet.
-#}
{% macro result_sql(load, result) %}
    {{ return(adapter.dispatch("result_sql", "sluice")(load, result)) }}
{% endmacro %}


{% macro default__result_sql(load, result) %}
    {%- do sluice.raise_error(
        "result_sql",
        target.type
        ~ " cannot read the Parquet files that Spark wrote for "
        ~ load.target_name
        ~ ".",
        "Use engine: warehouse.",
    ) -%}
{% endmacro %}


{% macro duckdb__result_sql(load, result) -%}
    {%- set columns = sluice.quoted(result.columns) | join(", ") -%}
    {%- if not result.pattern -%} select {{ columns }} from ({{ load.sql }}) as sluice_model where 1 = 0
    {%- else -%}
        select {{ columns }}
        from read_parquet({{ sluice.literal(result.pattern) }}, hive_partitioning = false)
    {%- endif -%}
{%- endmacro %}
