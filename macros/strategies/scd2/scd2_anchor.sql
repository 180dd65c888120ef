{#- The anchor of a late key is the last version start before its earliest change. A version that starts at the same
    time is not enough: it could merge with the one before. -#}
{% macro scd2_anchor_sql(load) -%}
    with
        earliest_changes as (
            select {{ sluice.columns(load.key) }}, min({{ load.at }}) as _sluice_changed_at
            from sluice_changed
            group by {{ sluice.columns(load.key) }}
        ),

        late_keys as (
            select
                {{ sluice.columns(load.key, "change") }},
                coalesce(max(stored.valid_from), change._sluice_changed_at) as _sluice_versions_from,
                coalesce(max(stored.valid_from), change._sluice_changed_at) as _sluice_side_from,
                1 as _sluice_is_late
            from earliest_changes as change
            left join
                {{ load.relation }} as stored
                on {{ sluice.matches(load.key, "stored", "change") }}
                and stored.valid_from < change._sluice_changed_at
            group by {{ sluice.columns(load.key, "change") }}, change._sluice_changed_at
        ),

        several_keys as (
            select
                {{ sluice.columns(load.key, "event") }},
                coalesce(
                    min(event._sluice_was_valid_from), min(event.{{ load.at }})
                ) as _sluice_versions_from,
                min(event.{{ load.at }}) as _sluice_side_from,
                0 as _sluice_is_late
            from sluice_event as event
            left join earliest_changes as change on {{ sluice.matches(load.key, "event", "change") }}
            where event._sluice_order = 'new' and change._sluice_changed_at is null
            group by {{ sluice.columns(load.key, "event") }}
            having count(*) > 1
        )

    select *
    from late_keys
    union all
    select *
    from several_keys
{%- endmacro %}


{% macro scd2_version_before_sql(load) -%}
    select
        {{ sluice.columns(load.data, "stored") }}, stored.valid_from, stored.valid_to, anchor._sluice_is_late
    from {{ load.relation }} as stored
    join
        sluice_anchor as anchor
        on {{ sluice.matches(load.key, "stored", "anchor") }}
        and stored.valid_from >= anchor._sluice_versions_from
{%- endmacro %}


{% macro scd2_side_before_sql(load) -%}
    select {{ sluice.columns(load.data, "stored") }}, stored._sluice_deleted
    from {{ load.side }} as stored
    join
        sluice_anchor as anchor
        on {{ sluice.matches(load.key, "stored", "anchor") }}
        and stored.{{ load.at }} >= anchor._sluice_side_from
{%- endmacro %}
