{#- A query of differences: the kind of difference, the row, and the detail.

    Args:
        load (dict): the load.
        difference (str): the kind of difference.
        names (list of str): columns that identify the row.
        detail (str): SQL that yields text.
        rows_sql (str): yields these columns.
-#}
{% macro difference_sql(load, difference, names, detail, rows_sql) -%}
    select
        cast({{ sluice.literal(difference) }} as varchar(100)) as difference,
        cast({{ sluice.row_text(sluice.typed_columns(load, names)) }} as varchar(2000)) as row_text,
        cast({{ detail }} as varchar(4000)) as detail
    from {{ sluice.nested(rows_sql) }} as differing_rows
{%- endmacro %}


{#- Rows of target and side table that no logged load wrote: inserted by hand, or from another table. -#}
{% macro unlogged_rows_sql(load) %}
    {%- set names = load.key + [load.at] if load.key else load.data -%}
    {%- set parts = [] -%}
    {%- for place, relation in {"the target": load.relation, "the side table": load.side}.items() -%}
        {%- set part -%}
            select {{ sluice.columns(names, "stored") }}, {{ sluice.literal(place) }} as place
            from {{ relation }} as stored
            left join
                (
                    select distinct loaded_at
                    from {{ load.log }}
                    where target = {{ sluice.literal(load.target_name) }}
                ) as logged
                on logged.loaded_at = stored._sluice_loaded_at
            where logged.loaded_at is null
        {%- endset -%}
        {%- do parts.append(part) -%}
    {%- endfor -%}
    {{
        return(
            sluice.difference_sql(
                load,
                "row of no load",
                names,
                "'in ' || place",
                sluice.combined(parts, "union all"),
            )
        )
    }}
{% endmacro %}


{% macro null_keys_sql(load) %}
    {%- set names = load.key + [load.at] -%}
    {%- set terms = [] -%}
    {%- for name in names -%} {%- do terms.append(name ~ " is null") -%} {%- endfor -%}
    {%- set parts = [] -%}
    {%- for relation in (load.relation, load.side) -%}
        {%- do parts.append(
            "select " ~ sluice.columns(names) ~ " from " ~ relation ~ " where " ~ terms
            | join(" or ")
        ) -%}
    {%- endfor -%}
    {{
        return(
            sluice.difference_sql(
                load,
                "key is NULL",
                names,
                "'key and event time are never NULL'",
                sluice.combined(parts, "union all"),
            )
        )
    }}
{% endmacro %}


{#- Queries of the faults in the keys of an SCD1 target, or of an append with a key: list of str. -#}
{% macro key_differences(load) %}
    {%- set twice -%}
        select {{ sluice.columns(load.key) }}, count(*) as row_count
        from {{ load.relation }}
        group by {{ sluice.columns(load.key) }}
        having count(*) > 1
    {%- endset -%}
    {%- set deleted -%}
        select {{ sluice.columns(load.key, "buried") }}
        from {{ load.side }} as buried
        join {{ load.relation }} as stored on {{ sluice.matches(load.key, "stored", "buried") }}
    {%- endset -%}
    {{
        return(
            [
                sluice.difference_sql(
                    load, "duplicate key", load.key, "cast(row_count as varchar) || ' rows'", twice
                ),
                sluice.difference_sql(
                    load,
                    "deleted key is present",
                    load.key,
                    "'the side table holds its delete as its last event'",
                    deleted,
                ),
            ]
        )
    }}
{% endmacro %}
