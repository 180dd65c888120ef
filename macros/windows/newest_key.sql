{#- The greatest key from start on that is not in the future, and how many rows are: dict(window_end,
    future_count). -#}
{% macro newest_key(dependency, kind, start) %}
    {%- set key = sluice.key_expression(dependency, kind) -%}
    {%- set has_limit = kind != "integer" and dependency.max_skew_minutes is not none -%}
    {%- if has_limit -%}
        {%- set limit = sluice.literal(
            sluice.minutes_before(
                sluice.instant_text(sluice.utc_now()), -dependency.max_skew_minutes, kind
            )
        ) -%}
    {%- endif -%}
    {%- call statement("sluice_newest_key", fetch_result=true, auto_begin=false) -%}
        select
            {%- if has_limit %}
                'is '
                || {{
                    sluice.key_text(
                        "max(case when " ~ key ~ " <= " ~ limit ~ " then " ~ key ~ " end)", kind
                    )
                }} as window_end,
                coalesce(sum(case when {{ key }} > {{ limit }} then 1 else 0 end), 0) as future_count
            {%- else %}
                'is ' || {{ sluice.key_text("max(" ~ key ~ ")", kind) }} as window_end, 0 as future_count
            {%- endif %}
        from {{ dependency.relation }}
        {%- if start is not none %} where {{ key }} >= {{ sluice.literal(start) }} {%- endif %}
    {%- endcall -%}
    {%- set row = load_result("sluice_newest_key").table.rows[0] -%}
    {{ return({"window_end": row[0][3:] if row[0] is not none else none, "future_count": row[1] | int}) }}
{% endmacro %}


{#- How many rows lie in the lookback band below end. -#}
{% macro count_band(dependency, kind, end) %}
    {%- set band = {
        "kind": kind,
        "start": sluice.minutes_before(end, dependency.lookback_minutes, kind),
        "end": end,
        "is_open": false,
    } -%}
    {%- call statement("sluice_band", fetch_result=true, auto_begin=false) -%}
        select count(*) as lookback_count
        from {{ dependency.relation }}
        where {{ sluice.window_condition(dependency, band) }}
    {%- endcall -%}
    {{ return(load_result("sluice_band").table.rows[0][0] | int) }}
{% endmacro %}
