{#- Stage the groups that Spark recomputed, as sluice_touched. They are the groups of the result, whatever has landed
    in the sources since.

    Args:
        load (dict): the load.
        groups (dict): manifest (str), pattern (str, empty when there are none), columns (list of dict(name, type)).
-#}
{% macro stage_result_groups(load, groups) %}
    {{ return(adapter.dispatch("stage_result_groups", "sluice")(load, groups)) }}
{% endmacro %}


{% macro default__stage_result_groups(load, groups) %}
    {%- set columns = [] -%}
    {%- for column in groups.columns -%}
        {%- do columns.append(
            (
                column.name
                if groups.pattern
                else "cast(null as " ~ column.type ~ ") as " ~ column.name
            )
        ) -%}
    {%- endfor -%}
    {%- set files = "from read_parquet(" ~ sluice.literal(groups.pattern) ~ ", hive_partitioning = false)" -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_touched",
        "the groups that Spark recomputed",
        "select " ~ columns | join(", ") ~ "\n" ~ (files if groups.pattern else "where 1 = 0"),
    ) -%}
{% endmacro %}


{#- COPY: https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html -#}
{% macro redshift__stage_result_groups(load, groups) %}
    {%- set columns = [] -%}
    {%- for column in groups.columns -%}
        {%- do columns.append(column.name ~ " " ~ column.type) -%}
    {%- endfor -%}
    {%- do sluice.copy_parquet(
        load,
        "sluice_touched",
        "the groups that Spark recomputed",
        columns,
        groups.manifest if groups.pattern else none,
    ) -%}
{% endmacro %}
