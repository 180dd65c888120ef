{#- Compute keys with a late event or with several new events again, each from its anchor.

    The differences from the stored rows go to sluice_version_gone, sluice_version_new, sluice_side_gone and
    sluice_side_new. The events of these keys are removed from sluice_event.
-#}
{% macro stage_scd2_history(load) %}
    {%- do sluice.count_ties(
        load,
        sluice.run_counts(
            load,
            "ties with stored events",
            sluice.stored_ties_sql(load, sluice.scd2_contest_sql(load)),
        ).tie_count,
    ) -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_changed",
        "old events that are new to the ledger",
        sluice.scd2_changed_sql(load),
    ) -%}
    {%- if load.void_count -%}
        {%- do sluice.run_step(
            load,
            "2 marks stored events that leave",
            "insert into sluice_changed select "
            ~ sluice.columns(load.data)
            ~ ", 2 from sluice_void",
        ) -%}
    {%- endif -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_anchor",
        "keys to compute again, and their anchors",
        sluice.scd2_anchor_sql(load),
    ) -%}
    {%- set anchors = sluice.run_counts(load, none, "select count(*) as anchor_count from sluice_anchor") -%}
    {%- if anchors.anchor_count -%}
        {%- do load.update({"has_history": true}) -%}
        {%- do sluice.run_temporary(
            load,
            "sluice_version_before",
            "their stored versions",
            sluice.scd2_version_before_sql(load),
        ) -%}
        {%- do sluice.run_temporary(
            load,
            "sluice_side_before",
            "their stored side events",
            sluice.scd2_side_before_sql(load),
        ) -%}
        {%- do sluice.run_temporary(load, "sluice_history", "their events", sluice.scd2_history_sql(load)) -%}
        {%- do sluice.stage_versions(load) -%}
        {%- do sluice.stage_scd2_differences(load) -%}
        {%- do sluice.run_step(
            load,
            "the events of these keys are in the differences",
            "delete from sluice_event using sluice_anchor where "
            ~ sluice.matches(load.key, "sluice_event", "sluice_anchor"),
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- The events from the anchor on: stored events that no changed event replaces, changed events and new events.

    _sluice_run_from is the time from which an event holds. For a current version that continues, it is valid_from.
-#}
{% macro scd2_history_sql(load) -%}
    with
        stored_events as (
            select {{ sluice.columns(load.data) }}, cast(0 as smallint) as _sluice_deleted
            from sluice_version_before
            where _sluice_is_late = 1
            union all
            select {{ sluice.columns(load.data) }}, _sluice_deleted
            from sluice_side_before
        ),

        kept_events as (
            select
                {{ sluice.columns(load.data, "stored") }},
                stored._sluice_deleted,
                stored.{{ load.at }} as _sluice_run_from
            from stored_events as stored
            left join
                sluice_changed as changed on {{ sluice.matches(load.key + [load.at], "stored", "changed") }}
            where changed.{{ load.key[0] }} is null
        )

    select *
    from kept_events
    union all
    select {{ sluice.columns(load.data) }}, _sluice_deleted, {{ load.at }}
    from sluice_changed
    {%- if load.void_count %} where _sluice_deleted < 2 {%- endif %}
    union all
    select {{ sluice.columns(load.data) }}, cast(0 as smallint), valid_from
    from sluice_version_before
    where _sluice_is_late = 0
    union all
    select {{ sluice.columns(load.data, "event") }}, event._sluice_deleted, event.{{ load.at }}
    from sluice_event as event
    join sluice_anchor as anchor on {{ sluice.matches(load.key, "event", "anchor") }}
    where event._sluice_order = 'new'
{%- endmacro %}
