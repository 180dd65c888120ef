{#- A current row that the SELECT no longer yields becomes a delete at the time of this load. -#}
{% macro stage_absences(load) %}
    {%- do sluice.run_temporary(
        load,
        "sluice_absent",
        "current rows that the SELECT no longer yields",
        sluice.absent_sql(load),
    ) -%}
    {%- set counts = sluice.run_counts(load, none, sluice.absent_counts_sql(load)) -%}
    {%- set forgets = load.windows | selectattr("forgets", "defined") | list | length > 0 -%}
    {%- if (load.mode == "full" or forgets) and counts.absent_count -%}
        {%- do sluice.guard_absences(load, counts) -%}
    {%- endif -%}
    {%- if counts.absent_count -%}
        {%- do sluice.run_step(load, none, sluice.insert_absent_sql(load)) -%}
    {%- endif -%}
{% endmacro %}


{% macro absent_sql(load) -%}
    select {{ sluice.columns(load.data, "sluice_target") }}
    from {{ load.relation }} as sluice_target
    {%- if load.mode == "groups" and not load.touches_everything %}
        join
            sluice_touched on {{ sluice.in_group("sluice_target", sluice.group_key(load), "sluice_touched") }}
    {%- endif %}
    left join
        (select distinct {{ sluice.columns(load.key) }} from sluice_stage) as staged_keys
        on {{ sluice.matches(load.key, "staged_keys", "sluice_target") }}
    where
        staged_keys.{{ load.key[0] }} is null
        {%- if load.type == "scd2" %} and sluice_target.valid_to is null {%- endif %}
{%- endmacro %}


{% macro absent_counts_sql(load) -%}
    {%- set is_current = "valid_to is null" if load.type == "scd2" else "1 = 1" -%}
    select
        (select count(*) from sluice_absent) as absent_count,
        (select count(*) from sluice_stage where _sluice_reject is null) as staged_count,
        (select count(*) from {{ load.relation }} where {{ is_current }}) as current_count
{%- endmacro %}


{#- Stop when the SELECT yields no row, or when a larger part of the target than max_vanish_percent would be deleted:
    that is treated as a fault of the source. -#}
{% macro guard_absences(load, counts) %}
    {%- set limit = sluice.setting("max_vanish_percent", 20) -%}
    {%- if counts.staged_count == 0 -%}
        {%- do sluice.raise_error(
            load.type,
            "the SELECT of "
            ~ load.target_name
            ~ " yields no row; "
            ~ counts.absent_count
            ~ " would be deleted. Nothing was written.",
            "Correct the source. To empty the target on purpose, use --full-refresh.",
        ) -%}
    {%- elif counts.absent_count * 100 > limit * counts.current_count -%}
        {%- do sluice.raise_error(
            load.type,
            counts.absent_count
            ~ " of "
            ~ counts.current_count
            ~ " rows of "
            ~ load.target_name
            ~ " are no longer yielded, max_vanish_percent is "
            ~ limit
            ~ ". Nothing was written.",
            "Correct the source, or raise max_vanish_percent if the rows shall be deleted.",
        ) -%}
    {%- endif -%}
{% endmacro %}
