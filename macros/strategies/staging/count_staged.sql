{#- The counts of the stage. An increment by rows into a target that stands is compared with the target before anything is
    counted, so that one statement counts both: events_counted then holds the counts of sluice_event. They hold unless
    several rows compete for one key and time. A load into an empty target counts the rows of each key instead: where every
    key has one, nothing competes and no order matters. -#}
{% macro count_staged(load) %}
    {%- set is_plain = load.mode == "rows" and not (
        load.is_first
        or load.replaces
        or load.restates
        or load.is_restated
        or sluice.asked_task()
        or flags.EMPTY
    ) -%}
    {%- set is_fresh = load.key and (load.is_first or load.is_full_refresh or load.is_rekeyed) -%}
    {%- set counts_sql = sluice.key_counts_sql(load) if is_fresh else sluice.stage_counts_sql(load) -%}
    {%- if is_plain -%}
        {%- if load.key -%} {%- do sluice.stage_events(load) -%} {%- endif -%}
        {%- set counts_sql -%}
            select staged.*, events.*
            from {{ sluice.nested(counts_sql, 12) }} as staged
            cross join {{ sluice.nested(sluice.event_counts_sql(load), 12) }} as events
        {%- endset -%}
    {%- endif -%}
    {%- set counts = sluice.run_counts(
        load,
        "number of rows, of rejects, of (key, time) pairs with several rows, and of what the events do",
        counts_sql,
    ) -%}
    {%- if is_plain -%} {%- do load.update({"events_counted": counts}) -%} {%- endif -%}
    {%- if is_fresh -%} {%- do load.update({"key_counts": counts}) -%} {%- endif -%}
    {{ return(counts) }}
{% endmacro %}


{#- How many (key, time) pairs have several rows. -#}
{% macro count_contested(load, counts) %}
    {%- if not load.key_counts -%} {{ return(counts.contested_count) }}
    {%- elif not load.key_counts.busy_count -%} {{ return(0) }}
    {%- elif load.type == "scd2" -%}
        {%- do sluice.stage_starts(load) -%} {{ return(load.starts.contested_count) }}
    {%- endif -%}
    {{
        return(
            sluice.run_counts(
                load, "(key, time) pairs with several rows", sluice.stage_counts_sql(load)
            ).contested_count
        )
    }}
{% endmacro %}


{#- Stage what the events do to the target, into sluice_event. -#}
{% macro stage_events(load) %}
    {%- do sluice.run_temporary(
        load,
        "sluice_event",
        "the events beside what is stored of their keys",
        sluice.scd2_event_sql(load) if load.type == "scd2" else sluice.scd1_event_sql(load),
    ) -%}
{% endmacro %}


{#- The rows of the stage that can be loaded. -#}
{% macro accepted_rows(load) %}
    {{
        return(
            "(select * from sluice_stage where _sluice_reject is null)"
            if load.stage == "sluice_stage"
            else load.stage
        )
    }}
{% endmacro %}


{% macro event_counts_sql(load) %}
    {%- if not load.key -%} {{ return(sluice.range_before_sql(load)) }} {%- endif -%}
    {{ return(sluice.scd2_counts_sql(load) if load.type == "scd2" else sluice.scd1_counts_sql(load)) }}
{% endmacro %}


{% macro stage_counts_sql(load) -%}
    select
        coalesce(sum(_sluice_row_count), 0) as rows_read,
        coalesce(
            sum(case when _sluice_is_rejected = 1 then _sluice_row_count else 0 end), 0
        ) as rows_rejected,
        coalesce(
            sum(case when _sluice_is_rejected = 0 and _sluice_row_count > 1 then 1 else 0 end), 0
        ) as contested_count,
        {{ sluice.loose_count() }} as loose_count
    from
        (
            select
                {{ sluice.columns(load.key + [load.at]) }},
                case when _sluice_reject is null then 0 else 1 end as _sluice_is_rejected,
                count(*) as _sluice_row_count
            from sluice_stage
            group by
                {{ sluice.columns(load.key + [load.at]) }}, case when _sluice_reject is null then 0 else 1 end
        ) as pairs
{%- endmacro %}


{#- Rows, rejects, and the keys with several events: how many, with how many events. It reads whichever table holds the
    events. -#}
{% macro key_counts_sql(load) -%}
    {%- set has_rejects = load.stage == "sluice_stage" -%}
    {%- set is_event = "_sluice_reject is null" if has_rejects else "1 = 1" -%}
    select
        coalesce(sum(_sluice_row_count), 0) as rows_read,
        coalesce(sum(_sluice_row_count - _sluice_event_count), 0) as rows_rejected,
        coalesce(sum(case when _sluice_event_count > 1 then 1 else 0 end), 0) as busy_count,
        coalesce(
            sum(case when _sluice_event_count > 1 then _sluice_event_count else 0 end), 0
        ) as busy_event_count,
        coalesce(
            sum(case when _sluice_event_count = 1 then _sluice_deleted_count else 0 end), 0
        ) as single_delete_count,
        {{ sluice.loose_count() if has_rejects else "0" }} as loose_count
    from
        (
            select
                {{ sluice.columns(load.key) }},
                count(*) as _sluice_row_count,
                {{ "count(*) - count(_sluice_reject)" if has_rejects else "count(*)" }}
                as _sluice_event_count,
                sum(case when {{ is_event }} then _sluice_deleted else 0 end) as _sluice_deleted_count
            from {{ load.stage }}
            group by {{ sluice.columns(load.key) }}
        ) as keys_of_events
{%- endmacro %}


{#- An expression: the number of text columns of the stage whose collation is not binary. -#}
{% macro loose_count() %}
    {%- set loose_sql = adapter.dispatch("loose_collations_sql", "sluice")() -%}
    {{ return("(select count(*) from (" ~ loose_sql ~ ") as loose)" if loose_sql else "0") }}
{% endmacro %}
