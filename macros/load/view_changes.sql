{#- The statements that update a materialized view. They depend on what changed: only rows, auto refresh, or the
    SELECT.

    Args:
        load (dict): see describe_view.
        existing (Relation or none): the view in the warehouse.
    Returns: list of str, for the transaction of the load.
    Source: https://docs.aws.amazon.com/redshift/latest/dg/materialized-view-create-sql-command.html
-#}
{% macro redshift__view_changes(load, existing) %}
    {%- set auto_refresh = "auto refresh " ~ ("yes" if sluice.setting("auto_refresh", false) else "no") -%}
    {%- if load.is_same_query and not should_full_refresh() -%}
        {%- set changes = ["refresh materialized view " ~ load.relation] -%}
        {%- if not load.is_same -%}
            {%- do changes.insert(0, "alter materialized view " ~ load.relation ~ " " ~ auto_refresh) -%}
        {%- endif -%}
        {{ return(changes) }}
    {%- endif -%}
    {%- set create = (
        "create materialized view "
        ~ load.relation
        ~ "\n"
        ~ sluice.view_layout()
        ~ auto_refresh
        ~ "\nas\n"
        ~ load.sql
    ) -%}
    {{ return(sluice.drop_view_sql(load, existing) + [create]) }}
{% endmacro %}

{#- PostgreSQL refreshes a materialized view only on request. -#}
{% macro default__view_changes(load, existing) %}
    {%- if load.is_same_query and not should_full_refresh() -%}
        {{ return(["refresh materialized view " ~ load.relation]) }}
    {%- endif -%}
    {%- set create = "create materialized view " ~ load.relation ~ " as\n" ~ load.sql -%}
    {{ return(sluice.drop_view_sql(load, existing) + [create]) }}
{% endmacro %}

{#- DuckDB has no materialized views. A table takes the view's place, and every refresh fills it again. -#}
{% macro duckdb__view_changes(load, existing) %}
    {%- if load.is_same_query and not should_full_refresh() -%}
        {{
            return(
                [
                    "delete from " ~ load.relation,
                    "insert into " ~ load.relation ~ "\n" ~ load.sql,
                ]
            )
        }}
    {%- endif -%}
    {%- set drop = ["drop table " ~ existing] if existing is not none else [] -%}
    {{ return(drop + ["create table " ~ load.relation ~ " as\n" ~ load.sql]) }}
{% endmacro %}


{% macro drop_view_sql(load, existing) %}
    {{ return(["drop materialized view " ~ load.relation] if existing is not none else []) }}
{% endmacro %}


{#- The layout of a view on Redshift. Views do not support AUTO; their default is EVEN. -#}
{% macro view_layout() %}
    {%- set distkey = sluice.setting("distkey") -%}
    {%- set sortkey = sluice.list_setting("sortkey") -%}
    {%- set lines = [] -%}
    {%- if distkey in ("all", "even") -%} {%- do lines.append("diststyle " ~ distkey) -%}
    {%- elif distkey -%} {%- do lines.append("diststyle key distkey (" ~ sluice.quote_name(distkey) ~ ")") -%}
    {%- endif -%}
    {%- if sortkey -%}
        {%- do lines.append("sortkey (" ~ sluice.quoted(sortkey) | join(", ") ~ ")") -%}
    {%- endif -%}
    {{ return(lines | map("string") | join("\n") ~ ("\n" if lines else "")) }}
{% endmacro %}
