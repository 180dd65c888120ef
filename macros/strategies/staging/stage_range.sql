{#- Stage an append without a business key: after the load, the target holds the rows of the window exactly as often
    as they were read.

    A retry or an overlapping backfill therefore never duplicates a row. Rows that the target already holds stay. When
    one of them is no longer yielded, the whole range is written again, because equal rows cannot be told apart.
-#}
{% macro stage_range(load) %}
    {%- do sluice.check_files(load) -%}
    {%- set before = load.events_counted or sluice.run_counts(
        load, "rows that the target holds in the range", sluice.range_before_sql(load)
    ) -%}
    {%- set counts = {"rows_inserted": before.staged_count, "rows_deleted": before.stored_count} -%}
    {#- equal rows are equal whichever SELECT derived them -#}
    {%- do load.update(
        {
            "keeps_range": false,
            "content": load.yielded | reject("equalto", "_sluice_definition") | list,
        }
    ) -%}
    {%- if before.stored_count and not load.replaces -%}
        {%- set stored = sluice.numbered_rows_sql(load, load.relation, sluice.range_condition(load)) -%}
        {%- set newest = (
            "(select max("
            ~ load.range_key
            ~ ") from "
            ~ load.relation
            ~ " where "
            ~ sluice.range_condition(load)
            ~ ")"
        ) -%}
        {%- set met = sluice.numbered_rows_sql(load, load.stage, load.range_key ~ " <= " ~ newest) -%}
        {%- set later = (
            "select "
            ~ sluice.columns(load.content)
            ~ ", 1 from "
            ~ load.stage
            ~ " where "
            ~ load.range_key
            ~ " > "
            ~ newest
        ) -%}
        {%- set created = sluice.temporary_sql(
            load, "sluice_gone", sluice.combined([stored, met], "except")
        ) + sluice.temporary_sql(load, "sluice_fresh", sluice.range_new_sql(met, stored, later)) -%}
        {%- set after = sluice.run_counts(
            load,
            "rows that the range holds and that were not read, and rows that it does not hold yet",
            (created + [sluice.range_after_sql(load)]) | join(";\n"),
        ) -%}
        {%- if after.gone_count and load.windows[0].notes_gone -%}
            {%- do sluice.guard_absences(
                load,
                {
                    "staged_count": 1,
                    "absent_count": after.gone_count,
                    "current_count": after.current_count,
                },
            ) -%}
        {%- endif -%}
        {%- if not after.gone_count -%}
            {%- do load.update({"keeps_range": true}) -%}
            {%- set counts = {"rows_inserted": after.fresh_count} -%}
        {%- endif -%}
    {%- endif -%}
    {%- do sluice.add_counts(load, counts) -%}
{% endmacro %}


{#- The rows of the target that lie in the window; of a target that replaces files, the rows of these. -#}
{% macro range_condition(load) %}
    {%- if load.replaces -%} {{ return("1 = 1") }} {%- endif -%}
    {%- if sluice.file_identity() is not none -%}
        {{
            return(
                load.range_key ~ " in " ~ sluice.replaced_files_sql(load.windows[0])
                if load.windows[0].records
                else "1 = 1"
            )
        }}
    {%- endif -%}
    {%- set window = sluice.window_condition({"key": load.range_key}, load.windows[0]) -%}
    {%- if load.restates -%}
        {{
            return(
                "("
                ~ window
                ~ " or "
                ~ load.range_key
                ~ " in (select "
                ~ load.range_key
                ~ " from sluice_redone))"
            )
        }}
    {%- endif -%}
    {{ return(window) }}
{% endmacro %}


{#- The rows of a table, with equal rows numbered, so that EXCEPT respects their number. -#}
{% macro numbered_rows_sql(load, relation, condition) -%}
    select
        {{ sluice.columns(load.content) }},
        row_number() over (
            partition by {{ sluice.columns(load.content) }} order by {{ load.range_key }}
        ) as _sluice_number
    from {{ relation }}
    where {{ condition }}
{%- endmacro %}


{% macro range_new_sql(met, stored, later) -%}
    select *
    from {{ sluice.nested(sluice.combined([met, stored], "except")) }} as met_rows
    union all
    {{ later }}
{%- endmacro %}


{% macro range_before_sql(load) -%}
    select
        (select count(*) from {{ sluice.accepted_rows(load) }} as staged) as staged_count,
        (select count(*) from {{ load.relation }} where {{ sluice.range_condition(load) }}) as stored_count
{%- endmacro %}


{% macro range_after_sql(load) -%}
    select
        (select count(*) from sluice_gone) as gone_count,
        (select count(*) from sluice_fresh) as fresh_count,
        {{ "(select count(*) from " ~ load.relation ~ ")" if load.windows[0].notes_gone else "0" }}
        as current_count
{%- endmacro %}
