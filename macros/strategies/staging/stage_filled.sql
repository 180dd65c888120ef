{#- Keep of each staged event the columns to fill, and take all others from the stored event of the same key, time and
    tie-breakers. A staged event that is not stored is left out: filling adds no row and removes none.

    SLUICE_FILL holds the columns as JSON, {target: [column, …]}; `sluice restate --fill` sets it.
-#}
{% macro stage_filled(load) %}
    {%- set filled = fromjson(env_var("SLUICE_FILL", "{}")).get(load.target_name, []) + [
        "_sluice_definition"
    ] -%}
    {%- set terms = [] -%}
    {%- for name in load.data -%}
        {%- do terms.append(("event." if name in filled else "stored.") ~ name) -%}
    {%- endfor -%}
    {%- set same = [sluice.matches(load.key + [load.at], "stored", "event")] -%}
    {%- if load.tie_breakers -%}
        {%- do same.append(sluice.same(load.tie_breakers, "stored", "event")) -%}
    {%- endif -%}
    {%- set stored = load.data | reject("in", filled) | list -%}
    {%- set filled_sql -%}
        with
            stored_events as (
                select {{ sluice.columns(stored) }}, cast(0 as smallint) as _sluice_deleted
                from {{ load.relation }}
                union all
                select {{ sluice.columns(stored) }}, _sluice_deleted
                from {{ load.side }}
            )

        select {{ sluice.in_lines(terms) }}, stored._sluice_deleted
        from {{ load.stage }} as event
        join stored_events as stored on {{ same | join(" and ") }}
    {%- endset -%}
    {%- do sluice.run_temporary(load, "sluice_filled", "stored events with their new columns", filled_sql) -%}
    {%- do load.update({"stage": "sluice_filled"}) -%}
{% endmacro %}
