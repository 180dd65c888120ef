{#- Find out what the SELECT yields, and whether it holds its own event time.

    Sets columns (the SELECT's, with _sluice_effective_at if the load's own time orders events) and is_load_timed.

    Args:
        load (dict): the load.
    Raises: for a name that is Sluice's own or comes twice.
-#}
{% macro describe_columns(load) %}
    {%- set columns = sluice.selected_columns(load) -%}
    {%- set names = columns | map(attribute="name") | list -%}
    {%- set own = sluice.own_columns(load) -%}
    {%- for name in names -%}
        {%- if name in own or name.startswith("_sluice_") -%}
            {%- do sluice.raise_error(
                load.type,
                "the SELECT of "
                ~ load.target_name
                ~ " yields "
                ~ name
                ~ ", which Sluice adds itself.",
                "Give it another name.",
            ) -%}
        {%- elif name in names[: loop.index0] -%}
            {%- do sluice.raise_error(
                load.type,
                "the SELECT of " ~ load.target_name ~ " yields " ~ name ~ " twice.",
                "Name each column once.",
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set sequence = (
        sluice.list_setting("sequence_by") or [sluice.setting("incremental_key")] | select | list
    ) -%}
    {%- set yielded = [] -%}
    {%- for name in sequence if name | lower in names | map('lower') | map('replace', '"', '') -%}
        {%- do yielded.append(name) -%}
    {%- endfor -%}
    {%- set is_load_timed = load.mode != "rows" or not yielded -%}
    {%- if load.mode == "rows" and (not yielded or yielded | length < sequence | length) -%}
        {%- do sluice.raise_error(
            load.type,
            "the SELECT of "
            ~ load.target_name
            ~ " does not yield "
            ~ (sequence | reject("in", yielded) | join(", ") or "any column that orders events")
            ~ ".",
            "Yield it, name the columns that order events in sequence_by, or set increment to groups or full.",
        ) -%}
    {%- elif load.mode not in ("rows", "groups", "full") -%}
        {%- do sluice.raise_error(
            load.type,
            "increment of " ~ load.target_name ~ " is " ~ load.mode ~ ".",
            "Use rows, groups or full.",
        ) -%}
    {%- endif -%}
    {%- if is_load_timed -%}
        {%- do columns.append(
            {"name": "_sluice_effective_at", "type": sluice.instant_type(), "raw_type": none}
        ) -%}
    {%- endif -%}
    {%- do load.update({"columns": columns, "is_load_timed": is_load_timed, "sequence": yielded}) -%}
{% endmacro %}


{#- A timestamp without zone as the warehouse describes it. -#}
{% macro instant_type() %}
    {{ return("timestamp" if target.type == "duckdb" else "timestamp without time zone") }}
{% endmacro %}
