{#- Find the events of an empty target that start a version, into sluice_start, by one pass over them: where every event
    starts one, as in a feed of changes, its rows are the versions.

    Sets starts: dict(contested_count: pairs of key and time with several rows; then sluice_start means nothing,
    version_count, merge_count: events that continue a version).
-#}
{% macro stage_starts(load) %}
    {%- set keys = load.key_counts -%}
    {%- set is_mostly_busy = 2 * keys.busy_event_count >= keys.rows_read - keys.rows_rejected -%}
    {#- a key that has one event is a version by itself; beside few of them it costs less to compute it again -#}
    {%- if not is_mostly_busy -%}
        {%- do sluice.run_temporary(
            load, "sluice_busy", "keys with several events", sluice.scd2_busy_sql(load)
        ) -%}
    {%- else -%}
        {%- do keys.update(
            {"single_delete_count": 0, "busy_event_count": keys.rows_read - keys.rows_rejected}
        ) -%}
    {%- endif -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_start",
        "the events that start a version",
        sluice.scd2_start_sql(load, is_mostly_busy),
    ) -%}
    {%- do load.update({"starts": sluice.run_counts(load, none, sluice.scd2_start_counts_sql(load))}) -%}
{% endmacro %}


{% macro scd2_busy_sql(load) -%}
    select {{ sluice.columns(load.key) }}
    from {{ sluice.accepted_rows(load) }} as staged
    group by {{ sluice.columns(load.key) }}
    having count(*) > 1
{%- endmacro %}


{#- Each event with the time of the one after it, and whether it starts a version: after nothing, after a delete, or by a
    change in a tracked column. -#}
{% macro scd2_start_sql(load, is_mostly_busy) -%}
    {%- set over_key = "over (partition by " ~ sluice.columns(load.key) ~ " order by " ~ load.at ~ ")" -%}
    {%- set previous = sluice.previous_values(load, over_key) -%}
    with
        events as (
            select {{ sluice.columns(load.data, "staged") }}, staged._sluice_deleted
            from {{ sluice.accepted_rows(load) }} as staged
            {%- if not is_mostly_busy %}
                join sluice_busy on {{ sluice.matches(load.key, "staged", "sluice_busy") }}
            {%- endif %}
        ),

        events_beside_previous as (
            select
                events.*,
                {{ sluice.in_lines(previous, 1) }}{{ "," if previous }}
                lag(_sluice_deleted) {{ over_key }} as _sluice_was_deleted,
                lag({{ load.at }}) {{ over_key }} as _sluice_was_at,
                lead({{ load.at }}) {{ over_key }} as valid_to
            from events
        )

    select
        {{ sluice.columns(load.data) }},
        _sluice_deleted,
        {{ load.at }} as valid_from,
        valid_to,
        1 as _sluice_is_end,
        {{ sluice.is_start_sql(load) }} as _sluice_is_start,
        case when _sluice_was_at = {{ load.at }} then 1 else 0 end as _sluice_is_contested
    from events_beside_previous
{%- endmacro %}


{% macro scd2_start_counts_sql(load) -%}
    select
        coalesce(sum(_sluice_is_contested), 0) as contested_count,
        coalesce(sum(case when _sluice_deleted = 0 then _sluice_is_start else 0 end), 0) as version_count,
        coalesce(sum(1 - _sluice_is_start), 0) as merge_count
    from sluice_start
{%- endmacro %}


{#- The bounds of versions, some of which several events make. -#}
{% macro scd2_merged_sql(load) -%}
    {%- set over_key = "partition by " ~ sluice.columns(load.key) ~ " order by " ~ load.at -%}
    with
        bounds as (
            select
                {{ sluice.columns(load.data) }},
                _sluice_deleted,
                max(case when _sluice_is_start = 1 then valid_from end) over (
                    {{ over_key }} rows between unbounded preceding and current row
                ) as valid_from,
                valid_to,
                lead(_sluice_is_start) over ({{ over_key }}) as _sluice_next_is_start
            from sluice_start
        )

    select
        {{ sluice.columns(load.data) }},
        _sluice_deleted,
        valid_from,
        valid_to,
        case when _sluice_next_is_start = 0 then 0 else 1 end as _sluice_is_end
    from bounds
{%- endmacro %}
