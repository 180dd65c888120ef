{#- The head of a target: its last committed load. It is what guards a load against another one of the same target.

    Args:
        target_name (str): `schema.table`.
    Returns: dict(load_id, loaded_at, logged_at, epoch, definition) as text, epoch as int; none when Sluice never
    made the target.
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
