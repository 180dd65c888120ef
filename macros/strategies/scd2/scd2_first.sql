{#- Versions of an empty target. The event of a key with one event is a version; only keys with several need windows: all
    events go through them when most are of such keys. Nothing is compared with what is stored. -#}
{% macro stage_scd2_first(load) %}
    {%- set counted_stage = "sluice_stage" if load.key_counts else none -%}
    {%- if load.stage != counted_stage -%}
        {%- do load.update(
            {
                "starts": none,
                "key_counts": sluice.run_counts(
                    load, "keys with several events", sluice.key_counts_sql(load)
                ),
            }
        ) -%}
    {%- endif -%}
    {%- set keys = load.key_counts -%}
    {%- if keys.busy_count and not load.starts -%} {%- do sluice.stage_starts(load) -%} {%- endif -%}
    {%- do load.update({"has_history": keys.busy_count > 0}) -%}
    {%- if load.has_history -%}
        {%- do load.update({"versions": "sluice_start"}) -%}
        {%- if load.starts.merge_count -%}
            {%- do sluice.run_temporary(
                load,
                "sluice_version",
                "the bounds of versions of several events",
                sluice.scd2_merged_sql(load),
            ) -%}
            {%- do load.update({"versions": "sluice_version"}) -%}
        {%- endif -%}
    {%- endif -%}
    {%- set event_count = keys.rows_read - keys.rows_rejected -%}
    {%- set single_count = event_count - keys.busy_event_count -%}
    {%- set inserted_count = (
        single_count
        - keys.single_delete_count
        + (load.starts.version_count if load.has_history else 0)
    ) -%}
    {%- set counts = {
        "rows_inserted": inserted_count,
        "side_count": event_count - inserted_count,
        "single_count": single_count,
    } -%}
    {%- do sluice.add_counts(load, counts) -%}
    {%- do load.update({"fast": counts}) -%}
{% endmacro %}


{#- Events of keys that have only one. -#}
{% macro scd2_single_sql(load) -%}
    select {{ sluice.columns(load.data, "staged") }}, staged._sluice_deleted
    from {{ load.stage }} as staged
    {%- if load.has_history %}
        left join sluice_busy on {{ sluice.matches(load.key, "staged", "sluice_busy") }}
        where sluice_busy.{{ load.key[0] }} is null
    {%- endif %}
{%- endmacro %}


{#- The statements that write all versions into empty tables. -#}
{% macro scd2_first_sql(load) %}
    {%- set statements = [] -%}
    {%- if load.fast.side_count -%}
        {%- do statements.append(sluice.insert_side_sql(load, sluice.scd2_first_side_sql(load))) -%}
    {%- endif -%}
    {%- if load.fast.rows_inserted -%}
        {%- do statements.append(sluice.insert_versions_sql(load, sluice.scd2_first_versions_sql(load))) -%}
    {%- endif -%}
    {{ return(statements) }}
{% endmacro %}


{% macro scd2_first_versions_sql(load) %}
    {%- set singles -%}
        select
            {{ sluice.columns(load.data) }},
            {{ load.at }} as valid_from,
            cast(null as {{ load.types[load.at] }}) as valid_to
        from {{ sluice.nested(sluice.scd2_single_sql(load), 8) }} as singles
        where _sluice_deleted = 0
    {%- endset -%}
    {%- set others -%}
        select {{ sluice.columns(load.data) }}, valid_from, valid_to
        from {{ load.versions }}
        where _sluice_is_end = 1 and _sluice_deleted = 0
    {%- endset -%}
    {{ return(sluice.singles_and_others(load, singles, others)) }}
{% endmacro %}


{% macro scd2_first_side_sql(load) %}
    {%- set singles -%}
        select {{ sluice.columns(load.data) }}, _sluice_deleted
        from {{ sluice.nested(sluice.scd2_single_sql(load), 8) }} as singles
        where _sluice_deleted = 1
    {%- endset -%}
    {%- set others -%}
        select {{ sluice.columns(load.data) }}, _sluice_deleted
        from {{ load.versions }}
        where _sluice_is_end = 0 or _sluice_deleted = 1
    {%- endset -%}
    {{ return(sluice.singles_and_others(load, singles, others)) }}
{% endmacro %}


{#- Both kinds of keys as one query, without the kind that the load has none of. -#}
{% macro singles_and_others(load, singles, others) %}
    {%- if not load.has_history -%} {{ return(singles) }} {%- endif -%}
    {{ return(sluice.combined([singles, others], "union all") if load.fast.single_count else others) }}
{% endmacro %}
