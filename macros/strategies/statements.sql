{#- Delete the rows of a table that a staged one names.

    Args:
        relation (Relation): the table.
        names (list of str): columns in which both agree; none of them is NULL.
        staged (str): temporary table.
        condition (str or none): what else holds of the staged row.
-#}
{% macro delete_sql(relation, names, staged, condition=none) -%}
    delete from {{ relation }}
    using {{ staged }}
    where
        {{ sluice.matches(names, relation.include(database=false, schema=false), staged) }}
        {{ "and " ~ staged ~ "." ~ condition if condition else "" }}
{%- endmacro %}


{#- Insert rows of an SCD1 or append target; query_sql yields the data columns. -#}
{% macro insert_rows_sql(load, query_sql) -%}
    insert into {{ load.relation }}
        ({{ sluice.columns(load.data) }}, _sluice_run_id, _sluice_loaded_at)
    select
        {{ sluice.columns(load.data) }},
        {{ sluice.audit_sql(load) }}
    from {{ sluice.nested(query_sql) }} as events
{%- endmacro %}


{#- Insert version rows; query_sql yields the data columns, valid_from and valid_to. -#}
{% macro insert_versions_sql(load, query_sql) -%}
    insert into {{ load.relation }}
        ({{ sluice.columns(load.data) }}, valid_from, valid_to, is_current, _sluice_run_id, _sluice_loaded_at)
    select
        {{ sluice.columns(load.data) }},
        valid_from,
        valid_to,
        valid_to is null,
        {{ sluice.audit_sql(load) }}
    from {{ sluice.nested(query_sql) }} as versions
{%- endmacro %}


{#- Insert side rows; query_sql yields the data columns and _sluice_deleted. -#}
{% macro insert_side_sql(load, query_sql) -%}
    insert into {{ load.side }}
        ({{ sluice.columns(load.data) }}, _sluice_deleted, _sluice_run_id, _sluice_loaded_at)
    select
        {{ sluice.columns(load.data) }},
        _sluice_deleted,
        {{ sluice.audit_sql(load) }}
    from {{ sluice.nested(query_sql) }} as events
{%- endmacro %}


{#- Values of the two audit columns. -#}
{% macro audit_sql(load) %}
    {{ return(sluice.literal(load.run_id) ~ ", cast(" ~ sluice.literal(load.loaded_at) ~ " as timestamp)") }}
{% endmacro %}
