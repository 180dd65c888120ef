{#- Create or alter the tables that a load writes to, in a separate transaction. A probe rolls it back and ends there.

    Args:
        load (dict): the load; a probe sets is_tried.
        change_sql (str): the statements.
-#}
{% macro run_change(load, change_sql) %}
    {%- if sluice.is_probe() -%}
        {%- do load.update({"is_tried": true}) -%}
        {%- do adapter.dispatch("try_change", "sluice")(change_sql) -%}
    {%- else -%}
        {%- call statement("sluice_change") -%} {{ change_sql }} {%- endcall -%} {%- do adapter.commit() -%}
    {%- endif -%}
{% endmacro %}


{#- psycopg2 does not notice a COMMIT that dbt sends as a statement, and does not begin another transaction. -#}
{% macro default__try_change(change_sql) %}
    {%- call statement("sluice_change", auto_begin=false) -%}
        begin
        ;
        {{ change_sql }}
        ;
        rollback
    {%- endcall -%}
{% endmacro %}

{#- DuckDB rejects a second BEGIN. dbt has sent one, and rolls back uncommitted changes when the node ends. -#}
{% macro duckdb__try_change(change_sql) %}
    {%- call statement("sluice_change") -%} {{ change_sql }} {%- endcall -%}
{% endmacro %}
