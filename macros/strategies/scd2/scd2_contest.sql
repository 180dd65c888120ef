{#- Old events together with the stored events of the same key and time. -#}
{% macro scd2_contest_sql(load) -%}
    {%- set pair = load.key + [load.at] -%}
    {%- set redone = "" -%}
    {%- set not_redone = "" -%}
    {%- if load.restates -%}
        {#- what is stored of touched events counts no longer -#}
        {%- set redone = sluice.redone_join(load, "stored") -%}
        {%- set not_redone = "where redone." ~ load.identity[0] ~ " is null" -%}
    {%- endif -%}
    select {{ sluice.columns(load.data) }}, _sluice_deleted, 0 as _sluice_is_stored
    from sluice_event
    where _sluice_order = 'old'
    union all
    select {{ sluice.columns(load.data, "stored") }}, cast(0 as smallint), 1
    from {{ load.relation }} as stored
    join
        (select {{ sluice.columns(pair) }} from sluice_event where _sluice_order = 'old') as old_event
        on {{ sluice.matches(pair, "stored", "old_event") }}
        {{ redone }}
        {{ not_redone }}
    union all
    select {{ sluice.columns(load.data, "stored") }}, stored._sluice_deleted, 1
    from {{ load.side }} as stored
    join
        (select {{ sluice.columns(pair) }} from sluice_event where _sluice_order = 'old') as old_event
        on {{ sluice.matches(pair, "stored", "old_event") }}
        {{ redone }}
        {{ not_redone }}
{%- endmacro %}


{#- An old event changes the ledger only where it beats the stored event of the same key and time. -#}
{% macro scd2_changed_sql(load) -%}
    with
        contest as {{ sluice.nested(sluice.scd2_contest_sql(load), 8) }},

        ranked_events as (
            select
                {{ sluice.kept_columns(load) }},
                _sluice_deleted,
                _sluice_is_stored,
                row_number() over (
                    partition by {{ sluice.columns(load.key + [load.at]) }}
                    order by {{ sluice.winner_order(load) }}, _sluice_is_stored desc
                ) as _sluice_rank
            from contest
        )

    select {{ sluice.columns(load.data) }}, _sluice_deleted
    from ranked_events
    where _sluice_rank = 1 and _sluice_is_stored = 0
{%- endmacro %}
