{#- The event of a key with one event is a version. Only keys with several events need window functions. -#}
{% macro stage_scd2_first(load) %}
    {%- do sluice.run_temporary(
        load, "sluice_busy", "keys with several events", sluice.scd2_busy_sql(load)
    ) -%}
    {%- set busy = sluice.run_counts(load, none, "select count(*) as busy_count from sluice_busy") -%}
    {%- do load.update({"has_history": busy.busy_count > 0}) -%}
    {%- if load.has_history -%}
        {%- do sluice.run_temporary(
            load, "sluice_history", "their events", sluice.scd2_busy_events_sql(load)
        ) -%}
        {%- do sluice.stage_versions(load) -%}
    {%- endif -%}
    {%- set counts = sluice.run_counts(load, "versions to insert", sluice.scd2_first_counts_sql(load)) -%}
    {%- do sluice.add_counts(load, counts) -%}
    {%- do load.update({"fast": counts}) -%}
{% endmacro %}


{% macro scd2_busy_sql(load) -%}
    select {{ sluice.columns(load.key) }}
    from {{ load.stage }}
    group by {{ sluice.columns(load.key) }}
    having count(*) > 1
{%- endmacro %}


{% macro scd2_busy_events_sql(load) -%}
    select
        {{ sluice.columns(load.data, "staged") }},
        staged._sluice_deleted,
        staged.{{ load.at }} as _sluice_run_from
    from {{ load.stage }} as staged
    join sluice_busy on {{ sluice.matches(load.key, "staged", "sluice_busy") }}
{%- endmacro %}


{#- Events of keys that have only one. -#}
{% macro scd2_single_sql(load) -%}
    select {{ sluice.columns(load.data, "staged") }}, staged._sluice_deleted
    from {{ load.stage }} as staged
    {%- if load.has_history %}
        left join sluice_busy on {{ sluice.matches(load.key, "staged", "sluice_busy") }}
        where sluice_busy.{{ load.key[0] }} is null
    {%- endif %}
{%- endmacro %}


{% macro scd2_first_counts_sql(load) -%}
    with singles as {{ sluice.nested(sluice.scd2_single_sql(load)) }}

    select
        (select count(*) from singles where _sluice_deleted = 0)
        {%- if load.has_history %}
            + (select count(*) from sluice_version where _sluice_is_end = 1 and _sluice_deleted = 0)
        {%- endif %} as rows_inserted,
        (select count(*) from singles where _sluice_deleted = 1)
        {%- if load.has_history %}
            + (select count(*) from sluice_version where _sluice_is_end = 0 or _sluice_deleted = 1)
        {%- endif %} as side_count
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
        from sluice_version
        where _sluice_is_end = 1 and _sluice_deleted = 0
    {%- endset -%}
    {{ return(sluice.combined([singles, others] if load.has_history else [singles], "union all")) }}
{% endmacro %}


{% macro scd2_first_side_sql(load) %}
    {%- set singles -%}
        select {{ sluice.columns(load.data) }}, _sluice_deleted
        from {{ sluice.nested(sluice.scd2_single_sql(load), 8) }} as singles
        where _sluice_deleted = 1
    {%- endset -%}
    {%- set others -%}
        select {{ sluice.columns(load.data) }}, _sluice_deleted
        from sluice_version
        where _sluice_is_end = 0 or _sluice_deleted = 1
    {%- endset -%}
    {{ return(sluice.combined([singles, others] if load.has_history else [singles], "union all")) }}
{% endmacro %}
