{#- The statements that write an SCD1 load, or an append with a business key, to its side table and target.

    Returns: list of str, empty when nothing changes.
-#}
{% macro scd1_sql(load) %}
    {%- set statements = [] -%}
    {%- if load.replaces and not load.is_first -%}
        {%- do statements.append("delete from " ~ load.side) -%}
        {%- do statements.append("delete from " ~ load.relation) -%}
    {%- else -%}
        {%- if load.void_count -%}
            {%- do statements.append(sluice.delete_sql(load.side, load.key, "sluice_void")) -%}
            {%- do statements.append(sluice.delete_sql(load.relation, load.key, "sluice_void")) -%}
        {%- endif -%}
        {%- if load.fast.buried_count -%}
            {%- do statements.append(sluice.delete_sql(load.side, load.key, "sluice_event")) -%}
        {%- endif -%}
        {%- if load.fast.rows_updated or load.fast.rows_deleted -%}
            {%- do statements.append(
                sluice.delete_sql(load.relation, load.key, "sluice_event", "_sluice_is_stored = 1")
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {%- if load.fast.side_count -%}
        {%- do statements.append(
            sluice.insert_side_sql(
                load, "select * from " ~ load.events ~ " where _sluice_deleted = 1"
            )
        ) -%}
    {%- endif -%}
    {%- if load.fast.rows_inserted or load.fast.rows_updated -%}
        {%- do statements.append(
            sluice.insert_rows_sql(
                load, "select * from " ~ load.events ~ " where _sluice_deleted = 0"
            )
        ) -%}
    {%- endif -%}
    {{ return(statements) }}
{% endmacro %}
