{#- Rows of a target that is empty or replaced: nothing is compared with what is stored, and where every key has one
    event, the stage itself is inserted. -#}
{% macro stage_scd1_first(load) %}
    {%- set keys = load.key_counts -%}
    {%- if keys.busy_count -%}
        {%- do sluice.run_temporary(
            load, "sluice_event", "the last event of each key", sluice.scd1_first_sql(load)
        ) -%}
        {%- set counts = sluice.run_counts(load, none, sluice.scd1_counts_sql(load)) -%}
    {%- else -%}
        {%- do load.update({"events": load.stage}) -%}
        {%- set counts = {
            "rows_inserted": keys.rows_read - keys.rows_rejected - keys.single_delete_count,
            "side_count": keys.single_delete_count,
        } -%}
    {%- endif -%}
    {%- do sluice.add_counts(load, counts) -%}
    {%- do load.update({"fast": counts}) -%}
{% endmacro %}


{#- The stage holds one event per key and time. -#}
{% macro scd1_first_sql(load) -%}
    with
        ranked_events as (
            select
                {{ sluice.columns(load.data) }},
                _sluice_deleted,
                row_number() over (
                    partition by {{ sluice.columns(load.key) }} order by {{ load.at }} desc
                ) as _sluice_rank
            from {{ sluice.accepted_rows(load) }} as staged
        )

    select
        {{ sluice.columns(load.data) }},
        _sluice_deleted,
        0 as _sluice_is_stored,
        0 as _sluice_is_buried,
        0 as _sluice_is_tied
    from ranked_events
    where _sluice_rank = 1
{%- endmacro %}
