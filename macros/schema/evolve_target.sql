{#- Alter a target and its side table to the columns of the SELECT, before anything is loaded, in a separate
    transaction.

    A new column is added, with NULL in older rows. A column that the SELECT no longer yields stays. A type may widen.
    Any other difference stops the load. on_schema_change: fail stops at every difference. on_schema_change: ignore
    leaves the tables unchanged: new columns are not loaded, and a row with a value that does not fit its column goes
    to the rejects.

    Args:
        load (dict): the load. Ignored columns are removed from its columns.
    Returns: list of dict(name, type): the target's data columns afterwards.
    Raises: with the column, both types and the DDL to run.
-#}
{% macro evolve_target(load) %}
    {%- set stored = sluice.paired_columns(load) -%}
    {%- set policy = sluice.schema_change_policy() -%}
    {%- if "_sluice_definition" not in stored -%}
        {#- a target that an earlier version of Sluice made -#}
        {%- do sluice.change_tables(load, ["add column _sluice_definition integer"]) -%}
        {%- do stored.update({"_sluice_definition": "integer"}) -%}
    {%- endif -%}
    {%- if policy == "ignore" -%}
        {%- do load.update({"columns": load.columns | selectattr("name", "in", stored) | list}) -%}
    {%- endif -%}
    {#- valid_from and valid_to have the type of the event time, so that type does not widen -#}
    {%- set event_time = "" if load.is_load_timed or load.type != "scd2" else load.sequence[0] -%}
    {%- set changes = [] -%}
    {%- for column in load.columns -%}
        {%- set type = stored.get(column.name) -%}
        {%- if type is none -%}
            {%- do changes.append("add column " ~ column.name ~ " " ~ column.type) -%}
            {%- do stored.update({column.name: column.type}) -%}
        {%- elif type == column.type -%}
        {#- is_widening is true for equal decimals: without this branch each load would alter them -#}
        {%- elif policy != "ignore" and not sluice.is_named(column.name, event_time) and sluice.can_widen(
            type, column.type
        ) -%}
            {%- do changes.append("alter column " ~ column.name ~ " type " ~ column.type) -%}
            {%- do stored.update({column.name: column.type}) -%}
        {%- elif not (
            sluice.is_widening(column.type, type)
            or (policy == "ignore" and sluice.is_widening(type, column.type))
        ) -%}
            {%- do sluice.refuse_type(load, column, type) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if changes and policy == "fail" -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " would change (" ~ changes
            | join("; ") ~ ") and on_schema_change is fail.",
            "Change the table by hand, or set on_schema_change: append_new_columns.",
        ) -%}
    {%- elif changes -%} {%- do sluice.change_tables(load, changes) -%}
    {%- endif -%}
    {%- set columns = [] -%}
    {%- for name, type in stored.items() -%}
        {%- do columns.append({"name": name, "type": type}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}


{% macro refuse_type(load, column, stored_type) %}
    {%- do sluice.raise_error(
        load.type,
        column.name
        ~ " of "
        ~ load.target_name
        ~ " is "
        ~ stored_type
        ~ " and the SELECT yields "
        ~ column.type
        ~ ".",
        "Cast it in the SELECT, rebuild the target (sluice rebuild "
        ~ load.target_name
        ~ "), or run by hand: alter table "
        ~ load.relation
        ~ " alter column "
        ~ column.name
        ~ " type "
        ~ column.type
        ~ "; and the same for "
        ~ load.side
        ~ ".",
    ) -%}
{% endmacro %}


{#- The policy for a SELECT whose columns differ from the target's: append_new_columns, fail or ignore. dbt itself
    fills in ignore for a model without a policy, so only a policy that is written in the model or its row counts. -#}
{% macro schema_change_policy() %}
    {%- set policy = (
        (model.unrendered_config or {}).get("on_schema_change")
        or ((config.get("meta") or {}).get("sluice", {})).get("on_schema_change")
        or "append_new_columns"
    ) -%}
    {%- if policy not in ("append_new_columns", "fail", "ignore") -%}
        {%- do sluice.raise_error(
            "on_schema_change",
            "on_schema_change of " ~ sluice.target_name() ~ " is " ~ policy ~ ".",
            "Use append_new_columns, fail or ignore: a column that the SELECT drops always stays, for its history.",
        ) -%}
    {%- endif -%}
    {{ return(policy) }}
{% endmacro %}


{#- Whether a column, as the warehouse spells and quotes it, is the column that a setting names. -#}
{% macro is_named(column, name) %}
    {{ return(column | replace('"', "") | lower == name | lower) }}
{% endmacro %}
