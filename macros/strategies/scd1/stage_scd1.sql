{#- Find what an increment changes in an SCD1 target, or in an append with a business key.

    The side table holds the last event of the keys whose last event is a delete.

    Args:
        load (dict): the load, staged; sets counts.
-#}
{% macro stage_scd1(load) %}
    {%- if load.key_counts -%} {{ return(sluice.stage_scd1_first(load)) }} {%- endif -%}
    {%- if load.restates and not load.replaces -%} {%- do sluice.stage_void(load, load.key) -%} {%- endif -%}
    {%- set counts = sluice.counted_events(load) -%}
    {%- if counts.tied_count -%}
        {%- do sluice.count_ties(
            load,
            sluice.run_counts(
                load,
                "ties with stored events",
                sluice.stored_ties_sql(load, sluice.scd1_contest_sql(load)),
            ).tie_count,
        ) -%}
        {%- do sluice.run_temporary(
            load,
            "sluice_loser",
            "keys whose stored event wins",
            sluice.scd1_loser_sql(load),
        ) -%}
        {%- do sluice.run_step(
            load,
            none,
            "delete from sluice_event using sluice_loser where "
            ~ sluice.matches(load.key, "sluice_event", "sluice_loser"),
        ) -%}
        {%- set counts = sluice.run_counts(load, none, sluice.scd1_counts_sql(load)) -%}
    {%- endif -%}
    {%- do sluice.add_counts(load, counts) -%}
    {%- if load.void_count -%}
        {%- do sluice.add_counts(load, {"rows_deleted": load.void_row_count}) -%}
    {%- endif -%}
    {%- do load.update({"fast": counts}) -%}
{% endmacro %}


{#- Events that have the same time as the stored event of their key, together with these stored events. -#}
{% macro scd1_contest_sql(load) -%}
    select {{ sluice.columns(load.data) }}, _sluice_deleted, 0 as _sluice_is_stored
    from sluice_event
    where _sluice_is_tied = 1
    union all
    select {{ sluice.columns(load.data, "stored") }}, cast(0 as smallint), 1
    from {{ load.relation }} as stored
    join
        sluice_event as event
        on {{ sluice.matches(load.key, "stored", "event") }}
        and event._sluice_is_tied = 1
    union all
    select {{ sluice.columns(load.data, "buried") }}, buried._sluice_deleted, 1
    from {{ load.side }} as buried
    join
        sluice_event as event
        on {{ sluice.matches(load.key, "buried", "event") }}
        and event._sluice_is_tied = 1
{%- endmacro %}


{% macro scd1_loser_sql(load) -%}
    with
        contest as {{ sluice.nested(sluice.scd1_contest_sql(load), 8) }},

        ranked_events as (
            select
                {{ sluice.columns(load.key) }},
                _sluice_is_stored,
                row_number() over (
                    partition by {{ sluice.columns(load.key) }}
                    order by {{ sluice.winner_order(load) }}, _sluice_is_stored desc
                ) as _sluice_rank
            from contest
        )

    select {{ sluice.columns(load.key) }}
    from ranked_events
    where _sluice_rank = 1 and _sluice_is_stored = 1
{%- endmacro %}


{% macro scd1_counts_sql(load) -%}
    select
        coalesce(
            sum(case when _sluice_deleted = 0 and _sluice_is_stored = 0 then 1 else 0 end), 0
        ) as rows_inserted,
        coalesce(
            sum(case when _sluice_deleted = 0 and _sluice_is_stored = 1 then 1 else 0 end), 0
        ) as rows_updated,
        coalesce(
            sum(case when _sluice_deleted = 1 and _sluice_is_stored = 1 then 1 else 0 end), 0
        ) as rows_deleted,
        coalesce(sum(_sluice_is_tied), 0) as tied_count,
        coalesce(sum(_sluice_deleted), 0) as side_count,
        coalesce(sum(_sluice_is_buried), 0) as buried_count
    from sluice_event
{%- endmacro %}
