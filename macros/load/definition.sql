{#- The definition of a target, as its head keeps it: `<load type> by (<key>) in order of (<event time, tie-breakers>)
    tracking <columns>`. flows/warehouse/definition.py reads this text, and a test compares both sides.

    Args:
        load (dict): type, key and tracks of the load.
        sequence (list of str): the columns that order events.
    Returns: str.
-#}
{% macro definition(load, sequence) %}
    {{
        return(
            load.type ~ " by (" ~ load.key
            | join(", ") ~ ") in order of (" ~ sequence
            | join(", ") ~ ") tracking " ~ load.tracks
        )
    }}
{% endmacro %}


{#- The parts of a definition.

    Args:
        text (str or none): the definition in a head.
    Returns: dict(text, built_as: all but the tracked columns, tracks, is_history, has_key); none for none.
-#}
{% macro read_definition(text) %}
    {%- if text is none -%} {{ return(none) }} {%- endif -%}
    {%- set parts = text.partition(" tracking ") -%}
    {{
        return(
            {
                "text": text,
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
