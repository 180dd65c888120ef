{#- The data columns of a target, after a check that nobody altered its tables. Target and side table must have the
    same columns in the same types, and the target must have Sluice's own columns. A wider type in the side table is
    allowed: a load on Redshift began that change and did not finish it.

    Args:
        load (dict): the load.
    Returns: dict, name → type, in the target's order.
    Raises: with the column and the remedy.
-#}
{% macro paired_columns(load) %}
    {%- set own = sluice.own_columns(load) -%}
    {%- set stored = {} -%}
    {%- set standing = [] -%}
    {%- if not load.has_side -%} {%- do sluice.refuse_altered(load, load.side ~ " is gone") -%} {%- endif -%}
    {%- for column in load.standing_columns[0] -%}
        {%- if column.name in own -%} {%- do standing.append(column.name) -%}
        {%- else -%} {%- do stored.update({column.name: column.type}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set audit = ["_sluice_run_id", "_sluice_loaded_at"] -%}
    {%- for name in (own if sluice.was_history(load) else audit) | reject("in", standing) -%}
        {%- do sluice.refuse_altered(load, load.relation ~ " has no column " ~ name) -%}
    {%- endfor -%}
    {%- set paired = {} -%}
    {%- for column in load.standing_columns[1] -%}
        {%- if column.name not in ("_sluice_deleted", "_sluice_run_id", "_sluice_loaded_at") -%}
            {%- do paired.update({column.name: column.type}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for name, type in paired.items() if name not in stored -%}
        {%- do sluice.refuse_altered(load, load.relation ~ " has no column " ~ name ~ " " ~ type) -%}
    {%- endfor -%}
    {%- for name, type in stored.items() if paired.get(name) != type and not (
        name in paired and sluice.is_widening(type, paired[name])
    ) -%}
        {%- do sluice.refuse_altered(
            load,
            name
            ~ " is "
            ~ type
            ~ " in "
            ~ load.relation
            ~ " and "
            ~ (paired.get(name) or "missing")
            ~ " in "
            ~ load.side,
        ) -%}
    {%- endfor -%}
    {{ return(stored) }}
{% endmacro %}


{% macro refuse_altered(load, finding) %}
    {%- do sluice.raise_error(
        load.type,
        "somebody altered " ~ load.target_name ~ ": " ~ finding ~ ". Nothing was written.",
        "Undo the change (target and side table must have the same data columns), or drop "
        ~ load.relation
        ~ " and load it again with --full-refresh.",
    ) -%}
{% endmacro %}


{#- The data columns that a target has in the warehouse: list of dict(name, type). -#}
{% macro stored_columns(load) %}
    {%- set columns = [] -%}
    {%- for column in sluice.describe_relation(load.relation) if column.name not in sluice.own_columns(load) -%}
        {%- do columns.append(column) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}


{#- The columns of a target that Sluice adds to those of the SELECT. -#}
{% macro own_columns(load) %}
    {%- set audit = ["_sluice_run_id", "_sluice_loaded_at"] -%}
    {%- set is_history = load.type == "scd2" or sluice.was_history(load) -%}
    {{ return(audit + ["valid_from", "valid_to", "is_current"] if is_history else audit) }}
{% endmacro %}


{#- Whether the target was built as SCD2. -#}
{% macro was_history(load) %} {{ return(load.stored is not none and load.stored.is_history) }} {% endmacro %}
