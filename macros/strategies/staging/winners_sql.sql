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


{#- The ledger: every event of target and side table, and the events of the stage. -#}
{% macro ledger_sql(load) -%}
    {%- set redone = "" -%}
    {%- if load.restates -%}
        {%- set redone = (
            sluice.redone_join(load, "stored") ~ " where redone." ~ load.identity[0] ~ " is null"
        ) -%}
    {%- endif -%}
    select
        {{ sluice.columns(load.data, "stored") }},
        cast(0 as smallint) as _sluice_deleted,
        1 as _sluice_is_stored
    from {{ load.relation }} as stored {{ redone }}
    union all
    select {{ sluice.columns(load.data, "stored") }}, stored._sluice_deleted, 1
    from {{ load.side }} as stored {{ redone }}
    union all
    select {{ sluice.columns(load.data) }}, _sluice_deleted, 0
    from {{ load.stage }}
{%- endmacro %}


{#- The data columns of events that compete for one (key, time). A column that the SELECT no longer yields keeps its
    stored value. -#}
{% macro kept_columns(load) %}
    {%- set listed = [] -%}
    {%- for name in load.data -%}
        {%- if name in load.yielded -%} {%- do listed.append(name) -%}
        {%- else -%}
            {%- do listed.append(
                "first_value("
                ~ name
                ~ ") over (partition by "
                ~ sluice.columns(load.key + [load.at])
                ~ " order by _sluice_is_stored desc rows between unbounded preceding and current row) as "
                ~ name
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(sluice.in_lines(listed)) }}
{% endmacro %}


{#- ORDER BY terms that put the winner first among events of equal key and time: the greatest tie-breakers, the newest
    definition, an upsert before a delete, then the greatest content. Contents are compared column by column in the
    order of their names; NULL is lowest, and text is compared by its bytes.

    When a whole target is restated, the definition comes before the tie-breakers: today's SELECT may no longer yield the
    event with the greatest tie-breakers, and that event must not win over one that it yields. -#}
{% macro winner_order(load) %}
    {%- set newer = ["_sluice_definition"] -%}
    {%- set leading = newer + load.tie_breakers if load.is_restated else load.tie_breakers + newer -%}
    {%- set terms = [] -%}
    {%- for name in leading -%} {%- do terms.append(sluice.greatest_first(load, name)) -%} {%- endfor -%}
    {%- do terms.append("_sluice_deleted") -%}
    {%- for name in load.compared | sort(case_sensitive=true) if name not in leading -%}
        {%- do terms.append(sluice.greatest_first(load, name)) -%}
    {%- endfor -%}
    {{ return(terms | join(",\n" ~ " " * 24)) }}
{% endmacro %}


{#- ORDER BY terms of one column: greatest first, NULL last. -#}
{% macro greatest_first(load, name) %}
    {{
        return(
            "case when "
            ~ name
            ~ " is null then 1 else 0 end, "
            ~ sluice.binary_text(name, load.types[name])
            ~ " desc"
        )
    }}
{% endmacro %}


{#- An expression that sorts a column by its bytes, whatever the collation of the database. -#}
{% macro binary_text(name, type) %}
    {{ return(adapter.dispatch("binary_text", "sluice")(name, type)) }}
{% endmacro %}

{% macro default__binary_text(name, type) %} {{ return(name) }} {% endmacro %}

{% macro postgres__binary_text(name, type) %}
    {{ return(name ~ ' collate "C"' if sluice.is_text(type | replace("[]", "")) else name) }}
{% endmacro %}

{#- Redshift sorts text by its bytes unless the database has another collation, and has no COLLATE "C". -#}
{% macro redshift__binary_text(name, type) %} {{ return(name) }} {% endmacro %}
