{#- Insert rows of an SCD1 or append target; query_sql yields the data columns. -#}
{% macro insert_rows_sql(load, query_sql) -%}
    insert into {{ load.relation }}
        ({{ sluice.columns(load.data) }}, _sluice_run_id, _sluice_loaded_at)
    select {{ sluice.columns(load.data) }}, {{ sluice.audit_sql(load) }}
    from {{ sluice.nested(query_sql) }} as events
{%- endmacro %}


{#- Insert version rows; query_sql yields the data columns, valid_from and valid_to. -#}
{% macro insert_versions_sql(load, query_sql) -%}
    insert into {{ load.relation }}
        ({{ sluice.columns(load.data) }}, valid_from, valid_to, is_current, _sluice_run_id, _sluice_loaded_at)
    select {{ sluice.columns(load.data) }}, valid_from, valid_to, valid_to is null, {{ sluice.audit_sql(load) }}
    from {{ sluice.nested(query_sql) }} as versions
{%- endmacro %}


{#- Insert side rows; query_sql yields the data columns and _sluice_deleted. -#}
{% macro insert_side_sql(load, query_sql) -%}
    insert into {{ load.side }}
        ({{ sluice.columns(load.data) }}, _sluice_deleted, _sluice_run_id, _sluice_loaded_at)
    select {{ sluice.columns(load.data) }}, _sluice_deleted, {{ sluice.audit_sql(load) }}
    from {{ sluice.nested(query_sql) }} as events
{%- endmacro %}


{#- Values of the two audit columns. -#}
{% macro audit_sql(load) %}
    {{ return(sluice.literal(load.run_id) ~ ", cast('" ~ load.loaded_at ~ "' as timestamp)") }}
{% endmacro %}


{% macro close_sql(load) -%}
    {%- set target = load.relation.include(database=false, schema=false) -%}
    update {{ load.relation }}
    set
        valid_to = sluice_event.{{ load.at }},
        is_current = false,
        _sluice_run_id = {{ sluice.literal(load.run_id) }},
        _sluice_loaded_at = cast({{ sluice.literal(load.loaded_at) }} as timestamp)
    from sluice_event
    where {{ sluice.matches(load.key, target, "sluice_event") }}
        and {{ target }}.valid_from = sluice_event._sluice_was_valid_from
        and sluice_event._sluice_order = 'new'
        and sluice_event._sluice_touches = 0
{%- endmacro %}


{% macro insert_absent_sql(load) -%}
    {%- set values = [] -%}
    {%- for name in load.data -%}
        {%- if name == load.at -%}
            {%- do values.append("cast(" ~ sluice.literal(load.loaded_at) ~ " as timestamp)") -%}
        {%- elif name == "_sluice_definition" -%} {%- do values.append(load.definition_number | string) -%}
        {%- else -%} {%- do values.append(name) -%}
        {%- endif -%}
    {%- endfor -%}
    insert into sluice_stage ({{ sluice.columns(load.data) }}, _sluice_deleted)
    select {{ sluice.in_lines(values) }}, 1
    from sluice_absent
{%- endmacro %}


{% macro insert_rejects_sql(load) -%}
    insert into {{ load.rejects }} (load_id, run_id, rejected_at, reason, row_text)
    select {{ sluice.literal(load.load_id) }}, {{ sluice.audit_sql(load) }}, reason, row_text
    from sluice_reject
{%- endmacro %}
