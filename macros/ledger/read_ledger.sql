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
    {%- set events_sql -%}
    select {{ sluice.in_lines(terms) }}, cast(0 as smallint) as _sluice_deleted
    from {{ load.relation }}
    {%- if load.stored.has_key %}
        union all
        select {{ sluice.in_lines(terms) }}, _sluice_deleted
        from {{ load.side }}
    {%- endif %}
    {%- endset -%}
    {{ sluice.pruned_sql(load, events_sql) if sluice.asked_task() == "prune" else events_sql }}
{%- endmacro %}


{#- The events that are left after a restatement: those that a chunk derived anew, and those whose rows the source does
    not hold. When events of a history are left alone in this way, a later event of their key that leaves becomes a
    delete at its time: without it, a state that is over would be the current one again.

    SLUICE_HELD holds two queries of keys and times as JSON, {target: {derived, whole}}: of what the chunks read, and of
    all that the source holds. Without it every event that was not derived anew leaves.
-#}
{% macro pruned_sql(load, events_sql) -%}
    {%- set held = fromjson(env_var("SLUICE_HELD", "{}")).get(load.target_name) -%}
    {%- set is_new = "_sluice_definition = " ~ load.stored.number -%}
    {%- if held is none %} select * from {{ sluice.nested(events_sql, 12) }} as events where {{ is_new }}
    {%- else %}
        {%- set identity = load.key + [load.at] -%}
        {%- set terms = [] -%}
        {%- for name in load.data -%}
            {%- do terms.append(
                "case when _sluice_is_gone = 1 then "
                ~ load.stored.number
                ~ " else _sluice_definition end as _sluice_definition"
                if name == "_sluice_definition"
                else name
            ) -%}
        {%- endfor %}
        with
            ledger_events as {{ sluice.nested(events_sql, 16) }},

            derived_again as (
                select distinct {{ sluice.columns(identity) }}, 1 as _sluice_is_held
                from {{ sluice.nested(held.derived, 20) }} as held
            ),

            held_at_all as (
                select distinct {{ sluice.columns(identity) }}, 1 as _sluice_is_held
                from {{ sluice.nested(held.whole, 20) }} as held
            ),

            judged_events as (
                select
                    ledger_events.*,
                    case
                        when {{ is_new }} then 0 else coalesce(derived_again._sluice_is_held, 0)
                    end as _sluice_is_gone,
                    case
                        when {{ is_new }} then 0 else 1 - coalesce(held_at_all._sluice_is_held, 0)
                    end as _sluice_is_alone
                from ledger_events
                left join derived_again on {{ sluice.matches(identity, "derived_again", "ledger_events") }}
                left join held_at_all on {{ sluice.matches(identity, "held_at_all", "ledger_events") }}
            ),

            placed_events as (
                select
                    judged_events.*,
                    max(_sluice_is_alone) over (
                        partition by {{ sluice.columns(load.key) }}
                        order by {{ load.at }}
                        rows between unbounded preceding and 1 preceding
                    ) as _sluice_follows_alone
                from judged_events
            )

        select
            {{ sluice.in_lines(terms) }},
            cast(case when _sluice_is_gone = 1 then 1 else _sluice_deleted end as smallint) as _sluice_deleted
        from placed_events
        where _sluice_is_gone = 0{{ " or _sluice_follows_alone = 1" if load.type == "scd2" else "" }}
    {%- endif %}
{%- endmacro %}
