{#- A materialized view that is created, altered or refreshed only when a driving source has new rows. It is native on
    Redshift and PostgreSQL. DuckDB has no materialized views, so there it is a table with the same rows.

    Settings: distkey, sortkey, auto_refresh (Redshift). The view, the target's head and the log row commit together.
    The SELECT reads whole relations, without sluice.increment().
-#}
{% materialization refresh, default %}

    {%- set existing = load_cached_relation(this) -%}
    {%- if not (config.get("meta") or {}).get("is_active", true) and not sluice.is_probe() -%}
        {{ return(sluice.no_load(existing, "SKIP inactive")) }}
    {%- endif -%}
    {%- do sluice.check_adapter() -%}
    {%- set load = sluice.describe_view(existing) -%}
    {%- if sluice.is_probe() -%}
        {%- do sluice.describe_query(sql) -%} {{ return(sluice.no_load(existing, "EMPTY checked")) }}
    {%- endif -%}
    {%- if not load.has_work -%} {{ return(sluice.no_load(existing, "SKIP nothing new")) }} {%- endif -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {%- if load.seen_load_id == "missing" -%} {%- do sluice.create_view_head(load) -%} {%- endif -%}
    {%- do sluice.commit_load(load, adapter.dispatch("view_changes", "sluice")(load, existing)) -%}
    {{ return({"relations": load.relations}) }}

{% endmaterialization %}


{#- The head of a view; it has no side table and no rejects. -#}
{% macro create_view_head(load) %}
    {%- do adapter.create_schema(load.relation) -%}
    {%- call statement("sluice_create_head") -%} {{ sluice.create_head_sql(load) }} {%- endcall -%}
    {%- do adapter.commit() -%}
    {%- do load.update({"seen_load_id": "none"}) -%}
{% endmacro %}
