{#- Stage the rows of the SELECT: rejects are separated, absences are added as deletes, and one event per key and time
    wins.

    It writes temporary tables only. Sets stage (the table that holds the events) and the first counts.

    Args:
        load (dict): the load.
    Raises: for more rejects than max_rejects, ties under on_tie: error, more absences than max_vanish_percent, and a
        full refresh that would lose rows that the sources no longer yield.
-#}
{% macro stage_increment(load) %}
    {%- if load.mode == "groups" and not load.is_rekeyed -%}
        {%- do sluice.stage_touched_groups(load) -%}
    {%- endif -%}
    {%- if load.casts -%} {%- do sluice.prepare_casts(load) -%} {%- endif -%}
    {%- if load.restates -%} {%- do sluice.stage_restated(load) -%} {%- endif -%}
    {%- do sluice.create_temporary(
        load, "sluice_stage", "the rows of the increment", sluice.stage_sql(load)
    ) -%}
    {%- set counts = sluice.count_staged(load) -%}
    {%- if counts.loose_count -%} {%- do sluice.refuse_collation(load) -%} {%- endif -%}
    {%- if load.result is not none -%} {%- do sluice.check_result(load, counts.rows_read) -%} {%- endif -%}
    {%- set has_unkeyed = load.windows | selectattr("unkeyed") | list | length > 0 -%}
    {%- set unkeyed_count = sluice.count_unkeyed(load) if has_unkeyed else 0 -%}
    {%- set unreadable = sluice.unreadable_lines(load) -%}
    {%- set apart_count = unkeyed_count + unreadable.row_count -%}
    {%- do load.counts.update(
        {
            "rows_read": counts.rows_read + apart_count,
            "rows_rejected": counts.rows_rejected + apart_count,
        }
    ) -%}
    {%- if load.dropping and not (load.is_rekeyed or load.result or flags.EMPTY) -%}
        {%- do sluice.count_driving_rows(load, counts.rows_read) -%}
    {%- endif -%}
    {%- set reads_absence = (
        load.mode != "rows"
        and not load.is_rekeyed
        and sluice.asked_task() != "fill"
        and load.type != "append"
        and not load.is_first
        and not load.is_full_refresh
        and not flags.EMPTY
    ) -%}
    {%- if reads_absence -%} {%- do sluice.stage_absences(load) -%} {%- endif -%}
    {%- if load.counts.rows_rejected -%} {%- do sluice.stage_rejects(load, unreadable.paths) -%} {%- endif -%}
    {%- if counts.contested_count and load.key -%} {%- do sluice.stage_winners(load) -%} {%- endif -%}
    {%- if sluice.asked_task() == "fill" -%} {%- do sluice.stage_filled(load) -%} {%- endif -%}
    {%- if load.is_full_refresh -%} {%- do sluice.check_reach(load) -%} {%- endif -%}
    {%- if load.is_rebuild and not load.is_full_refresh -%}
        {%- do sluice.run_temporary(
            load,
            "sluice_ledger",
            "every event ever accepted, with those of this increment",
            sluice.winners_sql(load, sluice.ledger_sql(load)),
        ) -%}
        {%- do load.update({"stage": "sluice_ledger"}) -%}
    {%- endif -%}
{% endmacro %}


{#- The counts of the stage. An increment by rows into a target that stands is compared with the target before anything is
    counted, so that one statement counts both: events_counted then holds the counts of sluice_event. They hold unless
    several rows compete for one key and time. -#}
{% macro count_staged(load) %}
    {%- set is_plain = load.mode == "rows" and not (
        load.is_first
        or load.replaces
        or load.restates
        or load.is_restated
        or sluice.asked_task()
        or flags.EMPTY
    ) -%}
    {%- set counts_sql = sluice.stage_counts_sql(load) -%}
    {%- if is_plain -%}
        {%- if load.key -%} {%- do sluice.stage_events(load) -%} {%- endif -%}
        {%- set counts_sql -%}
            select staged.*, events.*
            from {{ sluice.nested(counts_sql, 12) }} as staged
            cross join {{ sluice.nested(sluice.event_counts_sql(load), 12) }} as events
        {%- endset -%}
    {%- endif -%}
    {%- set counts = sluice.run_counts(
        load,
        "number of rows, of rejects, of (key, time) pairs with several rows, and of what the events do",
        counts_sql,
    ) -%}
    {%- if is_plain and not (load.key and counts.contested_count) -%}
        {%- do load.update({"events_counted": counts}) -%}
    {%- endif -%}
    {{ return(counts) }}
{% endmacro %}


{#- Stage what the events do to the target, into sluice_event. -#}
{% macro stage_events(load) %}
    {%- do sluice.run_temporary(
        load,
        "sluice_event",
        "the events beside what is stored of their keys",
        sluice.scd2_event_sql(load) if load.type == "scd2" else sluice.scd1_event_sql(load),
    ) -%}
{% endmacro %}


{#- The rows of the stage that can be loaded. -#}
{% macro accepted_rows(load) %}
    {{
        return(
            "(select * from sluice_stage where _sluice_reject is null)"
            if load.stage == "sluice_stage"
            else load.stage
        )
    }}
{% endmacro %}


{% macro event_counts_sql(load) %}
    {%- if not load.key -%} {{ return(sluice.range_before_sql(load)) }} {%- endif -%}
    {{ return(sluice.scd2_counts_sql(load) if load.type == "scd2" else sluice.scd1_counts_sql(load)) }}
{% endmacro %}


{% macro stage_counts_sql(load) -%}
    {%- set loose_sql = adapter.dispatch("loose_collations_sql", "sluice")() -%}
    select
        coalesce(sum(_sluice_row_count), 0) as rows_read,
        coalesce(
            sum(case when _sluice_is_rejected = 1 then _sluice_row_count else 0 end), 0
        ) as rows_rejected,
        coalesce(
            sum(case when _sluice_is_rejected = 0 and _sluice_row_count > 1 then 1 else 0 end), 0
        ) as contested_count,
        {{ "(select count(*) from (" ~ loose_sql ~ ") as loose)" if loose_sql else "0" }} as loose_count
    from
        (
            select
                {{ sluice.columns(load.key + [load.at]) }},
                case when _sluice_reject is null then 0 else 1 end as _sluice_is_rejected,
                count(*) as _sluice_row_count
            from sluice_stage
            group by
                {{ sluice.columns(load.key + [load.at]) }}, case when _sluice_reject is null then 0 else 1 end
        ) as pairs
{%- endmacro %}
