{#- The data columns of a target, after a look at whether a person altered the table: target and side table must hold the
    same columns in the same types, and the target Sluice's own. A side table with a wider type is a change that a load
    of Redshift began and did not finish.

    Args:
        load (dict): the load.
    Returns: dict, name → type, in the target's order.
    Raises: naming the column and what to do.
-#}
{% macro paired_columns(load) %}
    {%- set own = sluice.own_columns(load) -%}
    {%- set stored = {} -%}
    {%- set standing = [] -%}
    {%- for column in sluice.describe_relation(load.relation) -%}
        {%- if column.name in own -%} {%- do standing.append(column.name) -%}
        {%- else -%} {%- do stored.update({column.name: column.type}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set audit = ["_sluice_run_id", "_sluice_loaded_at"] -%}
    {%- for name in (own if sluice.was_history(load) else audit) | reject("in", standing) -%}
        {%- do sluice.refuse_altered(load, load.relation ~ " has no column " ~ name) -%}
    {%- endfor -%}
    {%- if not sluice.is_there(load.side) -%}
        {%- do sluice.refuse_altered(load, load.side ~ " is gone") -%}
    {%- endif -%}
    {%- set paired = {} -%}
    {%- for column in sluice.describe_relation(load.side) -%}
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
        "Undo it (target and side table hold the same data columns), or drop "
        ~ load.relation
        ~ " and load it anew with --full-refresh.",
    ) -%}
{% endmacro %}


{#- The SELECT's own columns of a target as they stand: list of dict(name, type). -#}
{% macro stored_columns(load) %}
    {%- set columns = [] -%}
    {%- for column in sluice.describe_relation(load.relation) if column.name not in sluice.own_columns(load) -%}
        {%- do columns.append(column) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}


{#- Columns of a target that are Sluice's, not the SELECT's. -#}
{% macro own_columns(load) %}
    {%- set audit = ["_sluice_run_id", "_sluice_loaded_at"] -%}
    {%- set is_history = load.type == "scd2" or sluice.was_history(load) -%}
    {{ return(audit + ["valid_from", "valid_to", "is_current"] if is_history else audit) }}
{% endmacro %}


{#- Whether the target, as it stands, holds versions. -#}
{% macro was_history(load) %} {{ return(load.stored is not none and load.stored.is_history) }} {% endmacro %}
