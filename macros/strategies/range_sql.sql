{#- The statements that write an append without a business key: list of str. -#}
{% macro range_sql(load) %}
    {%- set statements = [] -%}
    {%- if load.counts.rows_deleted and not load.is_rekeyed -%}
        {%- do statements.append(sluice.insert_side_sql(load, sluice.range_vanished_sql(load))) -%}
        {%- do statements.append(
            "delete from " ~ load.relation ~ " where " ~ sluice.range_condition(load)
        ) -%}
    {%- endif -%}
    {%- if load.keeps_range and (load.is_restated or load.definition_number != load.stored.number) -%}
        {%- do statements.append(sluice.mark_range_sql(load)) -%}
    {%- endif -%}
    {%- if load.counts.rows_inserted -%}
        {%- set fresh = (
            sluice.range_fresh_sql(load) if load.keeps_range else "select * from " ~ load.stage
        ) -%}
        {%- do statements.append(sluice.insert_rows_sql(load, fresh)) -%}
    {%- endif -%}
    {{ return(statements) }}
{% endmacro %}


{#- Rows that stay as they are were derived by today's SELECT as well. -#}
{% macro mark_range_sql(load) -%}
    update {{ load.relation }}
    set _sluice_definition = {{ load.definition_number }}
    where {{ sluice.range_condition(load) }}
        and coalesce(_sluice_definition, 0) < {{ load.definition_number }}
{%- endmacro %}


{#- Rows to add; a column that the SELECT no longer yields is NULL. -#}
{% macro range_fresh_sql(load) -%}
    {%- set terms = [] -%}
    {%- for column in load.data_columns -%}
        {%- set absent = load.definition_number if column.name == "_sluice_definition" else "null" -%}
        {%- do terms.append(
            column.name
            if column.name in load.content
            else "cast(" ~ absent ~ " as " ~ column.type ~ ") as " ~ column.name
        ) -%}
    {%- endfor -%}
    select {{ sluice.in_lines(terms) }}
    from sluice_fresh
{%- endmacro %}


{#- Rows that the range no longer holds. The side table keeps them, so that downstream targets that read by groups
    recompute their groups. -#}
{% macro range_vanished_sql(load) -%}
    select {{ sluice.columns(load.data) }}, cast(1 as smallint) as _sluice_deleted
    from {{ load.relation }}
    where {{ sluice.range_condition(load) }}
    except
    select {{ sluice.columns(load.data) }}, cast(1 as smallint)
    from {{ load.stage }}
{%- endmacro %}
