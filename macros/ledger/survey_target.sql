{#- What a rebuild from the ledger would do, as far as it can be counted beforehand. It writes nothing.

    Returns: dict(built_as, becomes, event_count, reject_count, tie_count, retyped: list of dict(name, from, to,
        lost_count, changed_count), added: list of names).
-#}
{% macro survey_target(load) %}
    {%- do sluice.read_ledger(load) -%}
    {%- do sluice.prepare_casts(load) -%}
    {%- set counts = sluice.run_counts(load, none, sluice.survey_counts_sql(load)) -%}
    {%- set retyped = [] -%}
    {%- for column in load.retyped -%}
        {%- do retyped.append(
            {
                "name": column.name,
                "from": column.from,
                "to": column.to,
                "lost_count": counts["lost_" ~ loop.index],
                "changed_count": counts["changed_" ~ loop.index],
            }
        ) -%}
    {%- endfor -%}
    {{
        return(
            {
                "built_as": load.stored.shape,
                "becomes": sluice.read_definition(load.definition).shape,
                "event_count": counts.event_count,
                "reject_count": counts.reject_count,
                "tie_count": sluice.count_logged_ties(load),
                "retyped": retyped,
                "added": load.added | map(attribute="name") | list,
            }
        )
    }}
{% endmacro %}


{% macro survey_counts_sql(load) -%}
    select
        count(*) as event_count,
        sum(case when {{ sluice.reject_reason(load) }} is null then 0 else 1 end) as reject_count
        {%- for column in load.retyped %}
            {%- set value = sluice.cast_value(column.name, column.to, column.from) %},
            sum(
                case when {{ column.name }} is not null and {{ value }} is null then 1 else 0 end
            ) as lost_{{ loop.index }},
            sum(
                case when cast({{ value }} as {{ column.from }}) <> {{ column.name }} then 1 else 0 end
            ) as changed_{{ loop.index }}
        {%- endfor %}
    from {{ sluice.nested(load.sql) }} as ledger
{%- endmacro %}


{#- Events that lost a tie since the last rebuild or full refresh: the ledger does not hold them. -#}
{% macro count_logged_ties(load) %}
    {%- set ties_sql -%}
        select coalesce(sum(tie_count), 0) as tie_count
        from
            (
                select load_id, max(tie_count) as tie_count
                from {{ load.log }}
                where target = {{ sluice.literal(load.target_name) }} and epoch >= {{ sluice.first_epoch_sql(load) }}
                group by load_id
            ) as loads
    {%- endset -%}
    {{ return(sluice.run_counts(load, none, ties_sql).tie_count) }}
{% endmacro %}
