{#- Keep one event per (key, time) of the stage, and count the ties: events of equal key, time and tie-breakers and
    different content. -#}
{% macro stage_winners(load) %}
    {%- do sluice.count_ties(
        load,
        sluice.run_counts(
            load, "ties in the increment", sluice.ties_sql(load, "select * from sluice_stage")
        ).tie_count,
    ) -%}
    {%- if not load.events_counted -%}
        {%- do sluice.run_temporary(
            load,
            "sluice_winner",
            "the winner of each key and time",
            sluice.winners_sql(load, "select *, 0 as _sluice_is_stored from sluice_stage"),
        ) -%}
        {%- do load.update({"stage": "sluice_winner"}) -%}
    {%- elif load.type == "scd2" -%} {%- do sluice.keep_winners(load) -%}
    {%- endif -%}
{% endmacro %}


{#- Keep the winners of sluice_event, which holds every staged row beside what is stored of its key: nothing of the target is
    read again. An SCD1 event is its key's winner already. -#}
{% macro keep_winners(load) %}
    {%- set winners_sql -%}
        select *
        from
            (
                select
                    *,
                    row_number() over (
                        partition by {{ sluice.columns(load.key + [load.at]) }}
                        order by {{ sluice.winner_order(load) }}
                    ) as _sluice_rank
                from sluice_event
            ) as ranked_events
        where _sluice_rank = 1
    {%- endset -%}
    {%- set statements = sluice.temporary_sql(load, "sluice_winner", winners_sql) + [
        "drop table sluice_event",
        "alter table sluice_winner rename to sluice_event",
    ] -%}
    {%- do sluice.run_step(load, "the winner of each key and time", statements | join(";\n")) -%}
    {%- do load.update({"events_counted": sluice.run_counts(load, none, sluice.event_counts_sql(load))}) -%}
{% endmacro %}


{#- Add ties to the counts of the load, and stop when on_tie is error. -#}
{% macro count_ties(load, number) %}
    {%- if number -%}
        {%- do load.counts.update({"tie_count": load.counts.tie_count + number}) -%}
        {%- set message = (
            number
            ~ " events of "
            ~ load.target_name
            ~ " have equal key, time and tie-breakers and different content"
        ) -%}
        {%- if load.on_tie == "error" -%}
            {%- do sluice.raise_error(
                load.type,
                message ~ "; on_tie is error. Nothing was written.",
                "Add a tie-breaker to sequence_by, or set on_tie: warn.",
            ) -%}
        {%- endif -%}
        {%- do exceptions.warn(
            "sluice." ~ load.type ~ ": " ~ message ~ "; the event with the greater content won."
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- The number of events of a batch that lose a tie: all of one key, time, tie-breakers and definition but the
    greatest. -#}
{% macro ties_sql(load, events_sql) -%}
    {%- set tied = sluice.columns(load.key + [load.at] + load.tie_breakers + ["_sluice_definition"]) -%}
    select coalesce(sum(_sluice_content_count - 1), 0) as tie_count
    from
        (
            select {{ tied }}, count(*) as _sluice_content_count
            from
                (
                    select distinct
                        {{ sluice.columns(load.key + [load.at] + load.compared) }}, _sluice_deleted
                    from {{ sluice.nested(events_sql, 20) }} as events
                ) as distinct_events
            group by {{ tied }}
            having count(*) > 1
        ) as ties
{%- endmacro %}


{#- The number of ties with stored events: stored events that meet an event of the batch with another content. A
    stored event that is also in the batch is already counted. -#}
{% macro stored_ties_sql(load, contest_sql) -%}
    {%- set tied = sluice.columns(load.key + [load.at] + load.tie_breakers + ["_sluice_definition"]) -%}
    {%- set content = sluice.columns(load.key + [load.at] + load.compared) -%}
    {%- set queries = [contest_sql] -%}
    {%- if load.counts.tie_count -%}
        {%- do queries.append(
            "select " ~ sluice.columns(load.data) ~ ", _sluice_deleted, 0\nfrom sluice_stage"
        ) -%}
    {%- endif -%}
    with
        contest as {{ sluice.nested(sluice.combined(queries, "union all"), 8) }},

        contents as (
            select {{ content }}, _sluice_deleted, min(_sluice_is_stored) as _sluice_is_only_stored
            from contest
            group by {{ content }}, _sluice_deleted
        )

    select coalesce(sum(_sluice_stored_count), 0) as tie_count
    from
        (
            select {{ tied }}, sum(_sluice_is_only_stored) as _sluice_stored_count
            from contents
            group by {{ tied }}
            having count(*) > sum(_sluice_is_only_stored)
        ) as ties
{%- endmacro %}
