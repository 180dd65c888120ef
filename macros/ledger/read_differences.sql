{#- The differences: counted by kind, and the first hundred in full: dict(counts, differences). -#}
{% macro read_differences(load) %}
    {%- set counts = {} -%}
    {%- set differences = [] -%}
    {%- call statement("sluice_difference_counts", fetch_result=true, auto_begin=false) -%}
        select difference, count(*) as row_count
        from sluice_difference
        group by difference
        order by difference
    {%- endcall -%}
    {%- for row in load_result("sluice_difference_counts").table.rows -%}
        {%- do counts.update({row[0]: row[1] | int}) -%}
    {%- endfor -%}
    {%- if counts -%}
        {%- call statement("sluice_differences", fetch_result=true, auto_begin=false) -%}
            select difference, row_text, detail
            from sluice_difference
            order by difference, row_text, detail
            limit 100
        {%- endcall -%}
        {%- for row in load_result("sluice_differences").table.rows -%}
            {%- do differences.append({"difference": row[0], "row": row[1], "detail": row[2]}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return({"counts": counts, "differences": differences}) }}
{% endmacro %}


{#- The epoch that began with every row of the target: a load that changed lookups let events leave begins an epoch, and writes
    a part of the rows. -#}
{% macro first_epoch_sql(load) -%}
    (
        select coalesce(max(epoch), 0)
        from {{ load.log }}
        where
            target = {{ sluice.literal(load.target_name) }}
            and epoch not in (
                select epoch
                from {{ load.log }}
                where target = {{ sluice.literal(load.target_name) }} and void_count > 0 and epoch is not null
            )
    )
{%- endmacro %}


{#- How many rows the tables hold, and how many the loads since the last rebuild or full refresh account for. -#}
{% macro verified_counts_sql(load) -%}
    with
        loads as (
            select
                load_id,
                max(rows_inserted) as rows_inserted,
                max(rows_deleted) as rows_deleted,
                row_number() over (order by min(loaded_at), load_id) as load_number
            from {{ load.log }}
            where
                target = {{ sluice.literal(load.target_name) }}
                and epoch >= {{ sluice.first_epoch_sql(load) }}
            group by load_id
        )

    select
        (select count(*) from {{ load.relation }}) as row_count,
        (select count(*) from {{ load.side }}) as side_count,
        {%- for relation in (load.relation, load.side) %}
            {{ "(" if loop.first else "+ " }} (
                select count(*)
                from {{ relation }}
                where coalesce(_sluice_definition, 0) < {{ load.definition_number }}
            ){{ ") as older_count," if loop.last }}
        {%- endfor %}
        count(*) as load_count,
        sum(rows_inserted) - sum(case when load_number = 1 then 0 else rows_deleted end) as logged_count
    from loads
{%- endmacro %}
