{#- Find what an increment changes in an SCD2 target. It reads target and side table and writes temporary tables only.

    There are three paths. First: the target is empty or is replaced. Fast: a key has one new event, later than all of
    its stored events. General: a key with a late event or several new events is computed again from an anchor, and
    only the differences are written.

    Args:
        load (dict): the load, staged; sets counts and paths.
-#}
{% macro stage_scd2(load) %}
    {%- if load.is_first or load.replaces -%} {%- do sluice.stage_scd2_first(load) -%}
    {%- else -%}
        {%- set counts = sluice.counted_events(load) -%}
        {%- do load.update({"has_history": false}) -%}
        {%- if load.restates -%} {%- do sluice.stage_void(load, load.key + [load.at]) -%}
        {%- endif -%}
        {%- if counts.old_count or counts.several_count or load.void_count -%}
            {%- do sluice.stage_scd2_history(load) -%}
            {%- set counts = sluice.run_counts(load, none, sluice.scd2_counts_sql(load)) -%}
        {%- endif -%}
        {%- do sluice.add_counts(load, counts) -%}
        {%- do load.update({"fast": counts}) -%}
    {%- endif -%}
{% endmacro %}


{#- The counts of the events of an increment, which are staged now unless they were before. -#}
{% macro counted_events(load) %}
    {%- if load.events_counted -%} {{ return(load.events_counted) }} {%- endif -%}
    {%- do sluice.stage_events(load) -%}
    {{ return(sluice.run_counts(load, "what the events do", sluice.event_counts_sql(load))) }}
{% endmacro %}


{#- Add counts of rows to the counts of the load. -#}
{% macro add_counts(load, counts) %}
    {%- for name in ("rows_inserted", "rows_updated", "rows_closed", "rows_deleted") -%}
        {%- do load.counts.update({name: load.counts[name] + counts.get(name, 0)}) -%}
    {%- endfor -%}
{% endmacro %}


{#- How many events are old, how many keys have several new events, and the row counts of the fast path, which takes a key
    with one new event. -#}
{% macro scd2_counts_sql(load) -%}
    select
        coalesce(sum(_sluice_old_count), 0) as old_count,
        coalesce(sum(case when _sluice_new_count > 1 then 1 else 0 end), 0) as several_count,
        coalesce(sum(_sluice_new_count), 0) as new_count,
        coalesce(sum(_sluice_opened_count), 0) as rows_inserted,
        coalesce(sum(_sluice_moved_count), 0) as rows_updated,
        coalesce(sum(_sluice_closed_count), 0) as rows_closed,
        coalesce(sum(_sluice_side_count), 0) as side_count
    from
        (
            select
                {{ sluice.columns(load.key) }},
                sum(case when _sluice_order = 'old' then 1 else 0 end) as _sluice_old_count,
                sum(case when _sluice_order = 'new' then 1 else 0 end) as _sluice_new_count,
                sum(
                    case
                        when _sluice_order = 'new' and _sluice_deleted = 0 and _sluice_touches = 0
                        then 1
                        else 0
                    end
                ) as _sluice_opened_count,
                sum(case when _sluice_order = 'new' then _sluice_touches else 0 end) as _sluice_moved_count,
                sum(
                    case
                        when
                            _sluice_order = 'new'
                            and _sluice_was_valid_from is not null
                            and _sluice_touches = 0
                        then 1
                        else 0
                    end
                ) as _sluice_closed_count,
                sum(
                    case
                        when _sluice_order = 'new' and (_sluice_deleted = 1 or _sluice_touches = 1)
                        then 1
                        else 0
                    end
                ) as _sluice_side_count
            from sluice_event
            group by {{ sluice.columns(load.key) }}
        ) as keys_of_events
{%- endmacro %}
