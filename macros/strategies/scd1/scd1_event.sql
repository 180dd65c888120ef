{#- The last event of each key, joined with the stored event of the key. _sluice_is_tied is 1 when both have the same
    time. -#}
{% macro scd1_event_sql(load) -%}
    {#- a target that is replaced counts as empty -#}
    {%- set nothing = " and 1 = 0" if load.replaces else "" -%}
    {%- set stored_at = "coalesce(stored." ~ load.at ~ ", buried." ~ load.at ~ ")" -%}
    {#- a restatement replaces what an older SELECT derived, also by an earlier event: the later one may be none any
        more, and only one event of a key is stored -#}
    {%- set outdated = (
        " or coalesce(stored._sluice_definition, buried._sluice_definition, 0) < "
        ~ load.definition_number
        if load.is_restated
        else ""
    ) -%}
    {#- the same for events that changed lookups touch: the stage holds all that is known of their keys -#}
    {%- set is_redone = load.restates and not load.replaces -%}
    {%- if is_redone -%}
        {%- set outdated = outdated ~ " or redone." ~ load.identity[0] ~ " is not null" -%}
    {%- endif -%}
    with
        ranked_events as (
            select
                {{ sluice.columns(load.data) }},
                _sluice_deleted,
                row_number() over (
                    partition by {{ sluice.columns(load.key) }}
                    order by {{ load.at }} desc, {{ sluice.winner_order(load) }}
                ) as _sluice_rank
            from {{ sluice.accepted_rows(load) }} as staged
        ),

        last_events as (select * from ranked_events where _sluice_rank = 1),

        compared_events as (
            select
                {{ sluice.event_columns(load) }},
                event._sluice_deleted,
                case when stored.{{ load.key[0] }} is null then 0 else 1 end as _sluice_is_stored,
                case when buried.{{ load.key[0] }} is null then 0 else 1 end as _sluice_is_buried,
                case
                    when
                        event.{{ load.at }} = {{ stored_at }}
                        {%- if is_redone %} and redone.{{ load.identity[0] }} is null {%- endif %}
                    then 1
                    else 0
                end as _sluice_is_tied,
                case
                    {%- set same_time = (
                        "" if load.is_load_timed else " and event." ~ load.at ~ " = " ~ stored_at
                    ) %}
                    when
                        stored.{{ load.key[0] }} is not null
                        and event._sluice_deleted = 0{{ same_time }}
                        and {{ sluice.same(load.compared, "event", "stored") }}
                    then 'known'
                    when
                        stored.{{ load.key[0] }} is null
                        and buried.{{ load.key[0] }} is not null
                        and event._sluice_deleted = 1{{ same_time }}
                        {%- if not load.is_load_timed %}
                            and {{ sluice.same(load.compared, "event", "buried") }}
                        {%- endif %}
                    then 'known'
                    when {{ stored_at }} is null or event.{{ load.at }} >= {{ stored_at }}{{ outdated }}
                    then 'new'
                    else 'old'
                end as _sluice_order
            from last_events as event
            left join
                {{ load.relation }} as stored
                on {{ sluice.matches(load.key, "event", "stored") }}{{ nothing }}
            left join
                {{ load.side }} as buried on {{ sluice.matches(load.key, "event", "buried") }}{{ nothing }}
                {%- if is_redone %} {{ sluice.redone_join(load, "event") }} {%- endif %}
        )

    select *
    from compared_events
    where _sluice_order = 'new'
{%- endmacro %}


{#- The columns of an event. A column that the SELECT no longer yields comes from the stored event of the same time. -#}
{% macro event_columns(load) %}
    {%- set terms = [] -%}
    {%- for name in load.data -%}
        {%- if name in load.yielded -%} {%- do terms.append("event." ~ name) -%}
        {%- else -%}
            {%- set kept -%}
                case
                    when event.{{ load.at }} = stored.{{ load.at }} then stored.{{ name }}
                    when event.{{ load.at }} = buried.{{ load.at }} then buried.{{ name }}
                end as {{ name }}
            {%- endset -%}
            {%- do terms.append(kept) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(sluice.in_lines(terms)) }}
{% endmacro %}
