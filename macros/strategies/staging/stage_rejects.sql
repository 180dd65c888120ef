{#- Remove the rows that cannot be loaded from the stage. They go to the target's rejects with the load.

    A row that is rejected again is stored once, although every load counts it. That happens when its window is read
    again, or when its key is NULL.

    Args:
        load (dict): the load.
        unreadable (str or none): files of lines that are no rows; see unreadable_lines.
-#}
{% macro stage_rejects(load, unreadable=none) %}
    {%- set max_rejects = sluice.setting("max_rejects") -%}
    {%- if max_rejects is not none and not load.is_rekeyed and load.counts.rows_rejected > max_rejects | int -%}
        {%- set example = sluice.first_reason(load, unreadable) -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name
            ~ " would reject "
            ~ load.counts.rows_rejected
            ~ " of "
            ~ load.counts.rows_read
            ~ " rows, max_rejects is "
            ~ max_rejects
            ~ ". Nothing was written. One reason: "
            ~ example
            ~ ".",
            "Correct the source or the SELECT, or raise max_rejects.",
        ) -%}
    {%- endif -%}
    {%- do sluice.run_temporary(
        load, "sluice_reject", "rows that cannot be loaded", sluice.reject_sql(load, unreadable)
    ) -%}
    {%- do sluice.run_step(load, none, "delete from sluice_stage where _sluice_reject is not null") -%}
{% endmacro %}


{#- Count the rows of driving sources whose incremental key is NULL, and warn about each such source. -#}
{% macro count_unkeyed(load) %}
    {%- set found = namespace(row_count=0) -%}
    {%- for window in load.windows if window.unkeyed -%}
        {%- set found.row_count = found.row_count + window.unkeyed.row_count -%}
        {%- do exceptions.warn(
            "sluice."
            ~ load.type
            ~ ": "
            ~ window.unkeyed.row_count
            ~ " rows of "
            ~ window.source
            ~ " have NULL in "
            ~ window.unkeyed.key
            ~ ", so no load of "
            ~ load.target_name
            ~ " reads them. They are in "
            ~ load.rejects
            ~ "."
        ) -%}
    {%- endfor -%}
    {{ return(found.row_count) }}
{% endmacro %}


{% macro reject_sql(load, unreadable) -%}
    with
        rejected_rows as (
            select
                _sluice_reject as reason,
                {{
                    sluice.row_text(
                        sluice.typed_columns(
                            load, load.yielded | reject("equalto", "_sluice_definition") | list
                        )
                    )
                }} as row_text
            from sluice_stage
            where _sluice_reject is not null
            {%- for window in load.windows if window.unkeyed %}
                union all
                select
                    {{ sluice.literal(window.source ~ "." ~ window.unkeyed.key ~ " is NULL") }},
                    {{ sluice.row_text(sluice.describe_query("select * from " ~ window.unkeyed.relation)) }}
                from {{ window.unkeyed.relation }} as unkeyed_rows
                where {{ window.unkeyed.key }} is null
            {%- endfor %}
            {%- if unreadable %}
                union all
                select reason, row_text
                from read_parquet([{{ unreadable }}])
            {%- endif %}
        ),

        known_rejects as (select distinct reason, row_text from {{ load.rejects }})

    select rejected_rows.reason, rejected_rows.row_text
    from rejected_rows
    left join
        known_rejects
        on known_rejects.reason = rejected_rows.reason
        and known_rejects.row_text = rejected_rows.row_text
    where known_rejects.reason is null
{%- endmacro %}


{#- The named columns of a target with their types. -#}
{% macro typed_columns(load, names) %}
    {%- set columns = [] -%}
    {%- for name in names -%}
        {%- do columns.append({"name": name, "type": load.types.get(name, load.types[load.at])}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}


{#- A row as readable text: name=value, …; at most 2000 characters. -#}
{% macro row_text(columns) %}
    {%- set parts = [] -%}
    {%- for column in columns -%}
        {%- do parts.append(
            sluice.literal(column.name ~ "=")
            ~ " || coalesce("
            ~ sluice.as_text(column.name, column.type, 2000)
            ~ ", 'NULL')"
        ) -%}
    {%- endfor -%}
    {{ return("substring(" ~ parts | join(" || ', ' || ") ~ ", 1, 2000)") }}
{% endmacro %}


{% macro first_reason(load, unreadable) %}
    {%- call statement("sluice_reason", fetch_result=true, auto_begin=false) -%}
        select min(reason) as reason
        from
            (
                select _sluice_reject as reason
                from sluice_stage
                {%- if unreadable %}
                    union all
                    select reason
                    from read_parquet([{{ unreadable }}])
                {%- endif %}
            ) as rejected
    {%- endcall -%}
    {%- set reason = load_result("sluice_reason").table.rows[0][0] -%}
    {{ return(reason or "the incremental key is NULL") }}
{% endmacro %}
