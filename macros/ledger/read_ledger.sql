{#- Let a load read the ledger: every event that the target and its side table hold, in the types that the SELECT
    yields now.

    Sets data_columns, columns and sql. added and retyped say how the tables differ from what the rebuild needs.

    Args:
        load (dict): the load with the SELECT's columns.
    Raises: when a column of the key or the sequence is not in the ledger.
-#}
{% macro read_ledger(load) %}
    {%- set wanted = {} -%}
    {%- for column in load.columns -%} {%- do wanted.update({column.name: column.type}) -%} {%- endfor -%}
    {%- set columns = [] -%}
    {%- set retyped = [] -%}
    {%- for column in sluice.stored_columns(load) -%}
        {%- set type = wanted.pop(column.name, column.type) -%}
        {%- if type != column.type and sluice.is_widening(type, column.type) -%}
            {%- set type = column.type -%}
        {%- endif -%}
        {%- do columns.append({"name": column.name, "type": type, "raw_type": column.type}) -%}
        {%- if type != column.type -%}
            {%- do retyped.append({"name": column.name, "from": column.type, "to": type}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set stored = columns | map(attribute="name") | list -%}
    {%- set added = [] -%}
    {%- for name, type in wanted.items() -%}
        {%- do added.append({"name": name, "type": type, "raw_type": type}) -%}
    {%- endfor -%}
    {%- do load.update(
        {"data_columns": columns + added, "added": added, "retyped": retyped, "ledger_sql": none}
    ) -%}
    {%- do sluice.resolve_columns(load) -%}
    {%- for name in load.key + [load.at] + load.tie_breakers if name not in stored -%}
        {%- do sluice.raise_error(
            load.type,
            name
            ~ " of "
            ~ load.target_name
            ~ " is part of its key or sequence now, and no stored event has that column: the ledger cannot be read.",
            "Load it again from its sources: --full-refresh.",
        ) -%}
    {%- endfor -%}
    {%- do load.update(
        {
            "columns": load.data_columns,
            "yielded": load.data,
            "compared": load.data | reject("in", load.key + [load.at]) | list,
            "delete_when": "_sluice_deleted = 1",
            "sql": sluice.stored_events_sql(load, added),
        }
    ) -%}
    {%- do load.update({"casts": sluice.changed_types(load)}) -%}
{% endmacro %}


{% macro stored_events_sql(load, added) -%}
    {%- set terms = [] -%}
    {%- for column in load.data_columns -%}
        {%- do terms.append(
            "cast(null as " ~ column.type ~ ") as " ~ column.name
            if column in added
            else column.name
        ) -%}
    {%- endfor -%}
    {%- set kept = "where " ~ sluice.kept_sql(load) if sluice.asked_task() == "prune" else "" -%}
    select {{ sluice.in_lines(terms) }}, cast(0 as smallint) as _sluice_deleted
    from {{ load.relation }} as ledger {{ kept }}
    {%- if load.stored.has_key %}
        union all
        select {{ sluice.in_lines(terms) }}, _sluice_deleted
        from {{ load.side }} as ledger {{ kept }}
    {%- endif %}
{%- endmacro %}


{#- The condition under which an event stays after a restatement: a chunk derived it anew, or the source does not hold
    its row. SLUICE_HELD has the query of what the source holds; without it every event that was not derived anew
    leaves. -#}
{% macro kept_sql(load) %}
    {%- set held = fromjson(env_var("SLUICE_HELD", "{}")).get(load.target_name) -%}
    {%- set is_new = "ledger._sluice_definition = " ~ load.stored.number -%}
    {%- if held is none -%} {{ return(is_new) }} {%- endif -%}
    {{
        return(
            "("
            ~ is_new
            ~ " or not exists (select 1 from ("
            ~ held
            ~ ") as held where "
            ~ sluice.matches(load.key + [load.at], "held", "ledger")
            ~ "))"
        )
    }}
{% endmacro %}
