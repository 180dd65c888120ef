{#- The last watermark of a (target, source), none before the first load.

    Returns: dict(end, lookback_count, source_epoch).
-#}
{% macro read_watermark(target_name, source_name) %}
    {%- set view = sluice.control_relation("watermark_control") -%}
    {%- if not sluice.is_there(view) -%} {{ return(none) }} {%- endif -%}
    {%- call statement("sluice_watermark", fetch_result=true, auto_begin=false) -%}
        select 'is ' || window_end as window_end, lookback_count, source_epoch
        from {{ view }}
        where target = {{ sluice.literal(target_name) }} and source = {{ sluice.literal(source_name) }}
    {%- endcall -%}
    {%- set rows = load_result("sluice_watermark").table.rows -%}
    {%- if not rows -%} {{ return(none) }} {%- endif -%}
    {#- the word before it keeps dbt from reading a number or a date into the text -#}
    {{
        return(
            {
                "end": rows[0][0][3:] if rows[0][0] is not none else none,
                "lookback_count": rows[0][1] | int,
                "source_epoch": rows[0][2] | int,
            }
        )
    }}
{% endmacro %}
