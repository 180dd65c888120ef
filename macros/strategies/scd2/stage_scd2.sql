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
        {%- do sluice.run_temporary(
            load,
            "sluice_event",
            "each event beside its key's current version",
            sluice.scd2_event_sql(load),
        ) -%}
        {%- set paths = sluice.run_counts(load, "new, known and old events", sluice.scd2_paths_sql(load)) -%}
        {%- do load.update({"has_history": false}) -%}
        {%- if load.restates -%} {%- do sluice.stage_void(load, load.key + [load.at]) -%}
        {%- endif -%}
        {%- if paths.old_count or paths.several_count or load.void_count -%}
            {%- do sluice.stage_scd2_history(load) -%}
        {%- endif -%}
        {%- if paths.old_count or paths.known_count -%}
            {%- do sluice.run_step(
                load,
                "known events change nothing",
                "delete from sluice_event where _sluice_order <> 'new'",
            ) -%}
        {%- endif -%}
        {%- set fast = sluice.run_counts(load, none, sluice.scd2_fast_counts_sql(load)) -%}
        {%- do sluice.add_counts(load, fast) -%}
        {%- do load.update({"fast": fast}) -%}
    {%- endif -%}
{% endmacro %}


{#- Add counts of rows to the counts of the load. -#}
{% macro add_counts(load, counts) %}
    {%- for name in ("rows_inserted", "rows_updated", "rows_closed", "rows_deleted") -%}
        {%- do load.counts.update({name: load.counts[name] + counts.get(name, 0)}) -%}
    {%- endfor -%}
{% endmacro %}


{#- How many events are old or known, and how many keys have several new events. -#}
{% macro scd2_paths_sql(load) -%}
    select
        coalesce(sum(_sluice_old_count), 0) as old_count,
        coalesce(sum(_sluice_known_count), 0) as known_count,
        coalesce(sum(case when _sluice_new_count > 1 then 1 else 0 end), 0) as several_count
    from
        (
            select
                {{ sluice.columns(load.key) }},
                sum(case when _sluice_order = 'old' then 1 else 0 end) as _sluice_old_count,
                sum(case when _sluice_order = 'known' then 1 else 0 end) as _sluice_known_count,
                sum(case when _sluice_order = 'new' then 1 else 0 end) as _sluice_new_count
            from sluice_event
            group by {{ sluice.columns(load.key) }}
        ) as keys_of_events
{%- endmacro %}


{#- The row counts of the fast path, for which sluice_event holds one event per key. -#}
{% macro scd2_fast_counts_sql(load) -%}
    select
        count(*) as new_count,
        coalesce(
            sum(case when _sluice_deleted = 0 and _sluice_touches = 0 then 1 else 0 end), 0
        ) as rows_inserted,
        coalesce(sum(_sluice_touches), 0) as rows_updated,
        coalesce(
            sum(case when _sluice_was_valid_from is not null and _sluice_touches = 0 then 1 else 0 end), 0
        ) as rows_closed,
        coalesce(sum(case when _sluice_deleted = 1 or _sluice_touches = 1 then 1 else 0 end), 0) as side_count
    from sluice_event
{%- endmacro %}
