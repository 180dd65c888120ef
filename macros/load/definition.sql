{#- The definition of a target, as its head keeps it: `<load type> by (<key>) in order of (<event time, tie-breakers>)
    tracking <columns> deriving <number>:<hash>`. The last part says which SELECT derived the newest rows.
    flows/warehouse/load_log.py reads this text, and a test compares both sides.

    Args:
        load (dict): type, key, tracks, definition_number and row_definition of the load.
        sequence (list of str): the columns that order events.
    Returns: str.
-#}
{% macro definition(load, sequence) %}
    {{
        return(
            load.type ~ " by (" ~ load.key
            | join(", ") ~ ") in order of (" ~ sequence
            | join(", ")
            ~ ") tracking "
            ~ load.tracks
            ~ " deriving "
            ~ load.definition_number
            ~ ":"
            ~ load.row_definition
        )
    }}
{% endmacro %}


{#- The parts of a definition.

    Args:
        text (str or none): the definition in a head.
    Returns: dict(text, shape: all but the last part, built_as: the shape without the tracked columns, tracks, number and
        row_definition: the last part, 0 and empty when an earlier version of Sluice loaded the target, is_history,
        has_key); none for none.
-#}
{% macro read_definition(text) %}
    {%- if text is none -%} {{ return(none) }} {%- endif -%}
    {%- set halves = text.partition(" deriving ") -%}
    {%- set parts = halves[0].partition(" tracking ") -%}
    {%- set derivation = halves[2].partition(":") -%}
    {{
        return(
            {
                "text": text,
                "shape": halves[0],
                "number": derivation[0] | int,
                "row_definition": derivation[2],
                "built_as": parts[0],
                "tracks": parts[2],
                "is_history": text.startswith("scd2 by "),
                "has_key": " by () in order of " not in text,
            }
        )
    }}
{% endmacro %}


{#- The tracked columns as the head keeps them. When they change, the target is rebuilt from its ledger.

    Args:
        load_type (str): scd1, scd2 or append.
        names (list of str): scd_columns.
    Returns: str.
-#}
{% macro tracking(load_type, names) %}
    {%- set tracked = names | map("lower") | sort | join(", ") -%}
    {{ return((tracked or "all") if load_type == "scd2" else "nothing") }}
{% endmacro %}


{#- What the rows of the current model are derived by: a hash of its SELECT, as sync normalised it (else of its text without
    layout), of delete_when, and of increment unless it is rows.

    Returns: str, 16 hexadecimal digits.
-#}
{% macro row_definition() %}
    {%- set written = (config.get("meta") or {}).get("row_definition") -%}
    {%- set select = written or local_md5(model.raw_code.split() | join(" ")) -%}
    {%- set increment = sluice.setting("increment", "rows") -%}
    {%- set mode = "" if increment == "rows" else increment -%}
    {{ return(local_md5(select ~ (sluice.setting("delete_when") or "") ~ mode)[:16]) }}
{% endmacro %}
