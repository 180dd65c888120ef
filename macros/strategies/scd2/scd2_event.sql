{#- Each staged event, joined with the current version and the last delete of its key.

    _sluice_order: new (later than the key's last event), known (equal to that event) or old (anything else).
    _sluice_touches: 1 when the event continues the current version, because the tracked columns are equal.
    When the time of the load orders events, an event is known when all of its columns are equal, whatever the time.
-#}
{% macro scd2_event_sql(load) -%}
    with
        current_versions as (
            select {{ sluice.columns(load.data) }}, valid_from from {{ load.relation }} where valid_to is null
        ),

        last_deletes as (
            select {{ sluice.columns(load.key, "side") }}, max(side.{{ load.at }}) as _sluice_deleted_at
            from {{ load.side }} as side
            join
                (select distinct {{ sluice.columns(load.key) }} from {{ load.stage }}) as staged_keys
                on {{ sluice.matches(load.key, "side", "staged_keys") }}
            where side._sluice_deleted = 1
            group by {{ sluice.columns(load.key, "side") }}
        )

    select
        {{ sluice.columns(load.data, "staged") }},
        staged._sluice_deleted,
        {{ sluice.columns(load.data, "current_version", as_prefix="_sluice_was_") }},
        current_version.valid_from as _sluice_was_valid_from,
        case
            {%- if load.is_load_timed %}
                when
                    current_version.valid_from is not null
                    and staged._sluice_deleted = 0
                    and {{ sluice.same(load.compared, "staged", "current_version") }}
                then 'known'
                when
                    current_version.valid_from is null
                    and staged._sluice_deleted = 1
                    and last_delete._sluice_deleted_at is not null
                then 'known'
            {%- endif %}
            when
                coalesce(current_version.{{ load.at }}, last_delete._sluice_deleted_at) is null
                or staged.{{ load.at }}
                > coalesce(current_version.{{ load.at }}, last_delete._sluice_deleted_at)
            then 'new'
            {%- if not load.is_load_timed %}
                when
                    staged.{{ load.at }} = current_version.{{ load.at }}
                    and staged._sluice_deleted = 0
                    and {{ sluice.same(load.compared, "staged", "current_version") }}
                then 'known'
            {%- endif %}
            else 'old'
        end as _sluice_order,
        case
            when
                current_version.valid_from is not null
                and staged._sluice_deleted = 0
                and {{ sluice.same(load.tracked, "staged", "current_version") }}
            then 1
            else 0
        end as _sluice_touches
    from {{ sluice.accepted_rows(load) }} as staged
    left join
        current_versions as current_version on {{ sluice.matches(load.key, "staged", "current_version") }}
    left join last_deletes as last_delete on {{ sluice.matches(load.key, "staged", "last_delete") }}
{%- endmacro %}
