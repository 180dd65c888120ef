{#- One winner per (key, time); events_sql yields the data columns, _sluice_deleted and _sluice_is_stored. -#}
{% macro winners_sql(load, events_sql) -%}
    with
        ranked_events as (
            select
                {{ sluice.kept_columns(load) }},
                _sluice_deleted,
                row_number() over (
                    partition by {{ sluice.columns(load.key + [load.at]) }}
                    order by {{ sluice.winner_order(load) }}, _sluice_is_stored desc
                ) as _sluice_rank
            from {{ sluice.nested(events_sql, 12) }} as events
        )

    select {{ sluice.columns(load.data) }}, _sluice_deleted
    from ranked_events
    where _sluice_rank = 1
{%- endmacro %}


{#- Target and side table together: every event that ever won; then those of the stage. -#}
{% macro ledger_sql(load) -%}
    select {{ sluice.columns(load.data) }}, cast(0 as smallint) as _sluice_deleted, 1 as _sluice_is_stored
    from {{ load.relation }}
    union all
    select {{ sluice.columns(load.data) }}, _sluice_deleted, 1
    from {{ load.side }}
    union all
    select {{ sluice.columns(load.data) }}, _sluice_deleted, 0
    from {{ load.stage }}
{%- endmacro %}
