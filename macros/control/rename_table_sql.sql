{#- Statements that give a relation another name, and another schema: list of str. -#}
{% macro rename_table_sql(before, after, kind) %}
    {%- if before.schema == after.schema -%}
        {%- set name = after.include(database=false, schema=false) -%}
        {{ return(["alter " ~ kind ~ " " ~ before ~ " rename to " ~ name]) }}
    {%- endif -%}
    {{ return(adapter.dispatch("move_table_sql", "sluice")(before, after, kind)) }}
{% endmacro %}

{#- Over a name that no other table has: either schema may hold a table of the other name. -#}
{% macro default__move_table_sql(before, after, kind) %}
    {%- set between = "sluice_moves_" ~ local_md5(before | string)[:16] -%}
    {%- set moved = after.incorporate(path={"identifier": between}) -%}
    {{
        return(
            [
                "alter " ~ kind ~ " " ~ before ~ ' rename to "' ~ between ~ '"',
                "alter "
                ~ kind
                ~ " "
                ~ before.incorporate(path={"identifier": between})
                ~ " set schema "
                ~ after.include(database=false, identifier=false),
                "alter " ~ kind ~ " " ~ moved ~ " rename to " ~ after.include(database=false, schema=false),
            ]
        )
    }}
{% endmacro %}

{#- DuckDB moves no table to another schema: the rows are copied. -#}
{% macro duckdb__move_table_sql(before, after, kind) %}
    {{ return(["create table " ~ after ~ " as select * from " ~ before, "drop table " ~ before]) }}
{% endmacro %}

{#- Nor does Redshift (ALTER TABLE in its SQL reference). LIKE keeps types, distribution and sort keys. -#}
{% macro redshift__move_table_sql(before, after, kind) %}
    {{
        return(
            [
                "create table " ~ after ~ " (like " ~ before ~ " including defaults)",
                "insert into " ~ after ~ " select * from " ~ before,
                "drop table " ~ before,
            ]
        )
    }}
{% endmacro %}
