{#- Differences, in both directions, between the stored rows and the computed ones. -#}
{% macro stage_scd2_differences(load) %}
    {%- set version = sluice.columns(load.data) ~ ", valid_from, valid_to" -%}
    {%- set event = sluice.columns(load.data) ~ ", _sluice_deleted" -%}
    {%- set versions_now = (
        "select "
        ~ version
        ~ " from sluice_version where _sluice_is_end = 1 and _sluice_deleted = 0"
    ) -%}
    {%- set versions_before = "select " ~ version ~ " from sluice_version_before" -%}
    {%- set side_now = (
        "select " ~ event ~ " from sluice_version where _sluice_is_end = 0 or _sluice_deleted = 1"
    ) -%}
    {%- set side_before = "select " ~ event ~ " from sluice_side_before" -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_version_gone",
        "versions to remove",
        versions_before ~ "\nexcept\n" ~ versions_now,
    ) -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_version_new",
        "versions to write",
        versions_now ~ "\nexcept\n" ~ versions_before,
    ) -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_side_gone",
        "side events to remove",
        side_before ~ "\nexcept\n" ~ side_now,
    ) -%}
    {%- do sluice.run_temporary(
        load, "sluice_side_new", "side events to write", side_now ~ "\nexcept\n" ~ side_before
    ) -%}
    {%- set counts = sluice.run_counts(load, none, sluice.scd2_difference_counts_sql(load)) -%}
    {%- do sluice.add_counts(load, counts) -%}
    {%- do load.update({"history": counts}) -%}
{% endmacro %}


{#- A version in both tables with the same start counts as updated, or as closed when it was current. Any other counts
    as inserted or deleted. -#}
{% macro scd2_difference_counts_sql(load) -%}
    select
        coalesce(sum(case when gone.valid_from is null then 1 else 0 end), 0) as rows_inserted,
        coalesce(sum(case when fresh.valid_from is null then 1 else 0 end), 0) as rows_deleted,
        coalesce(
            sum(
                case
                    when gone.valid_to is null and gone.valid_from is not null and fresh.valid_to is not null
                    then 1
                    else 0
                end
            ),
            0
        ) as rows_closed,
        coalesce(
            sum(
                case
                    when gone.valid_from is null or fresh.valid_from is null
                    then 0
                    when gone.valid_to is null and fresh.valid_to is not null
                    then 0
                    else 1
                end
            ),
            0
        ) as rows_updated,
        (select count(*) from sluice_version_gone) as versions_gone,
        (select count(*) from sluice_version_new) as versions_new,
        (select count(*) from sluice_side_gone) as side_gone,
        (select count(*) from sluice_side_new) as side_new
    from sluice_version_gone as gone
    full join sluice_version_new as fresh on {{ sluice.matches(load.key + ["valid_from"], "gone", "fresh") }}
{%- endmacro %}


{#- The statements that write the differences only. -#}
{% macro scd2_differences_sql(load) %}
    {%- set statements = [] -%}
    {%- if load.history.side_gone -%}
        {%- do statements.append(sluice.delete_sql(load.side, load.key + [load.at], "sluice_side_gone")) -%}
    {%- endif -%}
    {%- if load.history.side_new -%}
        {%- do statements.append(sluice.insert_side_sql(load, "select * from sluice_side_new")) -%}
    {%- endif -%}
    {%- if load.history.versions_gone -%}
        {%- do statements.append(
            sluice.delete_sql(load.relation, load.key + ["valid_from"], "sluice_version_gone")
        ) -%}
    {%- endif -%}
    {%- if load.history.versions_new -%}
        {%- do statements.append(sluice.insert_versions_sql(load, "select * from sluice_version_new")) -%}
    {%- endif -%}
    {{ return(statements) }}
{% endmacro %}
