{#- Find what an increment changes in an SCD2 target. Reads target and side table, writes temporary tables only.

    Three paths. First: an empty target, or one that is replaced. Fast: keys with one new event, later than any
    before.
    General: keys with a late event or several new ones are computed again from an anchor, and only differences
    are written.

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
        {%- if paths.old_count or paths.several_count -%} {%- do sluice.stage_scd2_history(load) -%}
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


{#- Add counts of rows to the load's, name by name. -#}
{% macro add_counts(load, counts) %}
    {%- for name in ("rows_inserted", "rows_updated", "rows_closed", "rows_deleted") -%}
        {%- do load.counts.update({name: load.counts[name] + counts.get(name, 0)}) -%}
    {%- endfor -%}
{% endmacro %}


{#- Keys with one event are versions as they stand; only the others need windows. -#}
{% macro stage_scd2_first(load) %}
    {%- do sluice.run_temporary(
        load, "sluice_busy", "keys with several events", sluice.scd2_busy_sql(load)
    ) -%}
    {%- set busy = sluice.run_counts(load, none, "select count(*) as busy_count from sluice_busy") -%}
    {%- do load.update({"has_history": busy.busy_count > 0}) -%}
    {%- if load.has_history -%}
        {%- do sluice.run_temporary(
            load, "sluice_history", "their events", sluice.scd2_busy_events_sql(load)
        ) -%}
        {%- do sluice.stage_versions(load) -%}
    {%- endif -%}
    {%- set counts = sluice.run_counts(load, "versions to insert", sluice.scd2_first_counts_sql(load)) -%}
    {%- do sluice.add_counts(load, counts) -%}
    {%- do load.update({"fast": counts}) -%}
{% endmacro %}


{% macro scd2_busy_sql(load) -%}
    select {{ sluice.columns(load.key) }}
    from {{ load.stage }}
    group by {{ sluice.columns(load.key) }}
    having count(*) > 1
{%- endmacro %}


{% macro scd2_busy_events_sql(load) -%}
    select
        {{ sluice.columns(load.data, "staged") }},
        staged._sluice_deleted,
        staged.{{ load.at }} as _sluice_run_from
    from {{ load.stage }} as staged
    join sluice_busy on {{ sluice.matches(load.key, "staged", "sluice_busy") }}
{%- endmacro %}


{#- Events of keys that have only one. -#}
{% macro scd2_single_sql(load) -%}
    select {{ sluice.columns(load.data, "staged") }}, staged._sluice_deleted
    from {{ load.stage }} as staged
    {%- if load.has_history %}
        left join sluice_busy on {{ sluice.matches(load.key, "staged", "sluice_busy") }}
        where sluice_busy.{{ load.key[0] }} is null
    {%- endif %}
{%- endmacro %}


{% macro scd2_first_counts_sql(load) -%}
    with singles as {{ sluice.nested(sluice.scd2_single_sql(load)) }}

    select
        (select count(*) from singles where _sluice_deleted = 0)
        {%- if load.has_history %}
            + (select count(*) from sluice_version where _sluice_is_end = 1 and _sluice_deleted = 0)
        {%- endif %} as rows_inserted,
        (select count(*) from singles where _sluice_deleted = 1)
        {%- if load.has_history %}
            + (select count(*) from sluice_version where _sluice_is_end = 0 or _sluice_deleted = 1)
        {%- endif %} as side_count
{%- endmacro %}
