{#- The head of a target: its last committed load. It protects a load against a concurrent load of the same target.

    Args:
        target_name (str): `schema.table`.
    Returns: dict(load_id, loaded_at, logged_at, epoch, definition) as text, epoch as int; none when Sluice never made
        the target.
-#}
{% macro read_head(target_name) %}
    {%- set head = sluice.companion_relation(target_name, "head") -%}
    {%- if not sluice.is_there(head) -%} {{ return(none) }} {%- endif -%}
    {%- call statement("sluice_head", fetch_result=true, auto_begin=false) -%}
        select
            load_id,
            {{ sluice.key_text("loaded_at", "timestamp") }} as loaded_at,
            {{ sluice.key_text("logged_at", "timestamp") }} as logged_at,
            epoch,
            definition
        from {{ head }}
    {%- endcall -%}
    {%- set rows = load_result("sluice_head").table.rows -%}
    {%- if rows | length != 1 -%}
        {%- do sluice.raise_error(
            "read_head",
            head ~ " holds " ~ rows | length ~ " rows instead of one.",
            "Restore the table, or drop it with its target.",
        ) -%}
    {%- endif -%}
    {%- set row = rows[0] -%}
    {{
        return(
            {
                "load_id": row[0],
                "loaded_at": row[1],
                "logged_at": row[2],
                "epoch": row[3] | int,
                "definition": row[4],
            }
        )
    }}
{% endmacro %}


{#- The last watermark of a (target, source), none before the first load.

    Returns: dict(end, lookback_count, source_epoch).
-#}
{% macro read_watermark(target_name, source_name) %}
    {%- set view = sluice.control_relation("watermark_control") -%}
    {%- if not sluice.is_there(view) -%} {{ return(none) }} {%- endif -%}
    {%- set target_text, source_text = sluice.literals([target_name, source_name]) -%}
    {%- call statement("sluice_watermark", fetch_result=true, auto_begin=false) -%}
        select 'is ' || window_end as window_end, lookback_count, source_epoch
        from {{ view }}
        where target = {{ target_text }} and source = {{ source_text }}
    {%- endcall -%}
    {%- set rows = load_result("sluice_watermark").table.rows -%}
    {%- if not rows -%} {{ return(none) }} {%- endif -%}
    {#- the prefix 'is ' stops dbt from converting the text to a number or a date -#}
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
