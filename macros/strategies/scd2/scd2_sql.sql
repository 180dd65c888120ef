{#- The statements that write an SCD2 load to its side table and target.

    Returns: list of str, empty when nothing changes.
-#}
{% macro scd2_sql(load) %}
    {%- set statements = [] -%}
    {%- if load.replaces and not load.is_first -%}
        {%- do statements.append("delete from " ~ load.side) -%}
        {%- do statements.append("delete from " ~ load.relation) -%}
    {%- endif -%}
    {%- if load.is_first or load.replaces -%} {%- do statements.extend(sluice.scd2_first_sql(load)) -%}
    {%- else -%}
        {%- if load.has_history -%} {%- do statements.extend(sluice.scd2_differences_sql(load)) -%}
        {%- endif -%}
        {%- if load.fast.new_count -%} {%- do statements.extend(sluice.scd2_fast_sql(load)) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(statements) }}
{% endmacro %}


{#- The statements for keys with one new event: write replaced rows and deletes to the side table, close the versions
    that end, and insert those that begin. -#}
{% macro scd2_fast_sql(load) %}
    {%- set statements = [] -%}
    {%- if load.fast.side_count -%}
        {%- do statements.append(sluice.insert_side_sql(load, sluice.scd2_moved_sql(load))) -%}
    {%- endif -%}
    {%- do statements.extend(sluice.close_versions(load)) -%}
    {{ return(statements) }}
{% endmacro %}


{#- The rows of the side table: the previous row of each version that continues, and deletes. -#}
{% macro scd2_moved_sql(load) -%}
    select {{ sluice.columns(load.data) }}, _sluice_deleted
    from sluice_event
    where _sluice_order = 'new' and _sluice_deleted = 1
    union all
    select {{ sluice.columns(load.data, prefix="_sluice_was_") }}, cast(0 as smallint)
    from sluice_event
    where _sluice_order = 'new' and _sluice_touches = 1
{%- endmacro %}


{#- The current versions after the events. -#}
{% macro scd2_opened_sql(load) -%}
    select
        {{ sluice.columns(load.data) }},
        case when _sluice_touches = 1 then _sluice_was_valid_from else {{ load.at }} end as valid_from,
        cast(null as {{ load.types[load.at] }}) as valid_to
    from sluice_event
    where _sluice_order = 'new' and _sluice_deleted = 0
{%- endmacro %}


{#- The versions that end, with their new end. -#}
{% macro scd2_closed_sql(load) -%}
    select {{ sluice.columns(load.data, prefix="_sluice_was_") }}, _sluice_was_valid_from, {{ load.at }}
    from sluice_event
    where _sluice_order = 'new' and _sluice_was_valid_from is not null and _sluice_touches = 0
{%- endmacro %}


{#- The statements that close versions that end and insert versions that begin: list of str. -#}
{% macro close_versions(load) %}
    {{ return(adapter.dispatch("close_versions", "sluice")(load)) }}
{% endmacro %}

{% macro default__close_versions(load) %}
    {%- set statements = [] -%}
    {%- if load.fast.rows_closed -%} {%- do statements.append(sluice.close_sql(load)) -%} {%- endif -%}
    {%- if load.fast.rows_updated -%}
        {%- do statements.append(sluice.delete_current_sql(load, "_sluice_touches = 1")) -%}
    {%- endif -%}
    {%- if load.fast.rows_inserted or load.fast.rows_updated -%}
        {%- do statements.append(sluice.insert_versions_sql(load, sluice.scd2_opened_sql(load))) -%}
    {%- endif -%}
    {{ return(statements) }}
{% endmacro %}

{#- DuckDB's UPDATE deletes and inserts the row, and is slower than these two statements. -#}
{% macro duckdb__close_versions(load) %}
    {%- set statements = [] -%}
    {%- set versions = [sluice.scd2_opened_sql(load)] -%}
    {%- if load.fast.rows_closed or load.fast.rows_updated -%}
        {%- do statements.append(sluice.delete_current_sql(load)) -%}
    {%- endif -%}
    {%- if load.fast.rows_closed -%} {%- do versions.append(sluice.scd2_closed_sql(load)) -%} {%- endif -%}
    {%- do statements.append(sluice.insert_versions_sql(load, sluice.combined(versions, "union all"))) -%}
    {{ return(statements) }}
{% endmacro %}


{% macro delete_current_sql(load, condition=none) -%}
    {%- set target = load.relation.include(database=false, schema=false) -%}
    delete from {{ load.relation }}
    using sluice_event
    where
        {{ sluice.matches(load.key, target, "sluice_event") }}
        and {{ target }}.valid_from = sluice_event._sluice_was_valid_from
        and sluice_event._sluice_order = 'new'
        {{ "and sluice_event." ~ condition if condition else "" }}
{%- endmacro %}
