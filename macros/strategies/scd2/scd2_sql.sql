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


{#- Everything, into empty tables. -#}
{% macro scd2_first_sql(load) %}
    {%- set statements = [] -%}
    {%- if load.fast.side_count -%}
        {%- do statements.append(sluice.insert_side_sql(load, sluice.scd2_first_side_sql(load))) -%}
    {%- endif -%}
    {%- if load.fast.rows_inserted -%}
        {%- do statements.append(sluice.insert_versions_sql(load, sluice.scd2_first_versions_sql(load))) -%}
    {%- endif -%}
    {{ return(statements) }}
{% endmacro %}


{% macro scd2_first_versions_sql(load) %}
    {%- set singles -%}
        select
            {{ sluice.columns(load.data) }},
            {{ load.at }} as valid_from,
            cast(null as {{ load.types[load.at] }}) as valid_to
        from {{ sluice.nested(sluice.scd2_single_sql(load), 8) }} as singles
        where _sluice_deleted = 0
    {%- endset -%}
    {%- set others -%}
        select {{ sluice.columns(load.data) }}, valid_from, valid_to
        from sluice_version
        where _sluice_is_end = 1 and _sluice_deleted = 0
    {%- endset -%}
    {{ return(sluice.combined([singles, others] if load.has_history else [singles], "union all")) }}
{% endmacro %}


{% macro scd2_first_side_sql(load) %}
    {%- set singles -%}
        select {{ sluice.columns(load.data) }}, _sluice_deleted
        from {{ sluice.nested(sluice.scd2_single_sql(load), 8) }} as singles
        where _sluice_deleted = 1
    {%- endset -%}
    {%- set others -%}
        select {{ sluice.columns(load.data) }}, _sluice_deleted
        from sluice_version
        where _sluice_is_end = 0 or _sluice_deleted = 1
    {%- endset -%}
    {{ return(sluice.combined([singles, others] if load.has_history else [singles], "union all")) }}
{% endmacro %}


{#- Only what differs from what is stored. -#}
{% macro scd2_differences_sql(load) %}
    {%- set statements = [] -%}
    {%- if load.history.side_gone -%}
        {%- do statements.append(sluice.delete_sql(load.side, load.key + [load.at], "sluice_side_gone")) -%}
    {%- endif -%}
    {%- if load.history.side_new -%}
        {%- do statements.append(sluice.insert_side_sql(load, "select * from sluice_side_new")) -%}
    {%- endif -%}
    {%- if load.history.versions_gone -%}
        {%- do statements.append(
            sluice.delete_sql(load.relation, load.key + ["valid_from"], "sluice_version_gone")
        ) -%}
    {%- endif -%}
    {%- if load.history.versions_new -%}
        {%- do statements.append(sluice.insert_versions_sql(load, "select * from sluice_version_new")) -%}
    {%- endif -%}
    {{ return(statements) }}
{% endmacro %}
