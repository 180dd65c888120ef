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
    {%- if load.key and sluice.count_contested(load, counts) -%}
        {%- do sluice.stage_winners(load) -%}
    {%- endif -%}
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
