{#- Read the columns of the SELECT, and decide which of them orders events.

    Sets columns (those of the SELECT, _sluice_effective_at when the time of the load orders events, and
    _sluice_definition, the number of the SELECT that derived an event), is_load_timed and sequence.

    Args:
        load (dict): the load.
    Raises: for a name that Sluice uses itself, and for a name that occurs twice.
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
                "Give each column its own name.",
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
    {%- do columns.append({"name": "_sluice_definition", "type": "integer", "raw_type": none}) -%}
    {%- do load.update({"columns": columns, "is_load_timed": is_load_timed, "sequence": yielded}) -%}
{% endmacro %}


{#- The name of the type timestamp without time zone, as the warehouse describes it. -#}
{% macro instant_type() %}
    {{ return("timestamp" if target.type == "duckdb" else "timestamp without time zone") }}
{% endmacro %}


{#- Enforce dbt's contract of a model: the SELECT must yield the declared columns in the declared types.

    Sluice does not create the declared constraints: history and rejects would violate them. It warns about each,
    unless the constraint says warn_unsupported: false.
-#}
{% macro check_contract(load) %}
    {%- if config.get("contract") and config.get("contract").enforced -%}
        {%- do get_assert_columns_equivalent(load.sql) -%}
        {%- set declared = [] -%}
        {%- for constraint in model.constraints or [] -%}
            {%- do declared.append(constraint) -%}
        {%- endfor -%}
        {%- for column in model.columns.values() -%}
            {%- do declared.extend(column.constraints or []) -%}
        {%- endfor -%}
        {%- for constraint in declared if constraint.warn_unsupported -%}
            {%- do exceptions.warn(
                "sluice."
                ~ load.type
                ~ ": the constraint "
                ~ constraint.type
                ~ " of "
                ~ load.target_name
                ~ " is not enforced. Use a data test (key_not_null, unique, one_current_row), or set warn_unsupported: false."
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
