{#- Create a target with its side table, rejects and head, empty, in one transaction of its own.

    Args:
        load (dict): the load; columns holds the SELECT's columns with their types.
-#}
{% macro create_target(load) %}
    {%- do adapter.create_schema(load.relation) -%}
    {%- do sluice.run_change(load, sluice.create_target_sql(load)) -%}
{% endmacro %}


{% macro create_target_sql(load) %}
    {%- if load.makes_target %}
        {{ sluice.create_rows_sql(load) }}
        ;
    {% endif %}
    {%- if load.makes_target %}
        {#- a side table that is left from an earlier target of this name holds events that do not belong to the new one -#}
drop table if exists {{ load.side }};
    {% endif %}
    {{ sluice.create_side_sql(load) }}
    ;
create table if not exists {{ load.rejects }} (
    load_id varchar(64),
    run_id varchar(64),
    rejected_at timestamp,
    reason varchar(2000),
    row_text varchar(8000)
);
    {{ sluice.create_head_sql(load) }}
{% endmacro %}


{#- The one-row head: the last load of the target, and the definition that the target is built as. -#}
{% macro create_head_sql(load) -%}
create table if not exists {{ load.head }} (
    load_id varchar(64),
    loaded_at timestamp,
    logged_at timestamp,
    fingerprint varchar(128),
    definition varchar(4000),
    epoch bigint
);
insert into {{ load.head }} (load_id, fingerprint, definition, epoch)
select
    'none',
    {{ sluice.literal(load.fingerprint) }},
    {{ sluice.literal(load.definition) }},
    0
where not exists (select 1 from {{ load.head }})
{%- endmacro %}


{#- The target itself. -#}
{% macro create_rows_sql(load) -%}
create table {{ load.relation }} (
    {%- for column in load.columns %}
        {{ column.name }} {{ column.type }},
    {%- endfor %}
    {%- if load.type == "scd2" %}
    valid_from {{ load.types[load.at] }},
    valid_to {{ load.types[load.at] }},
    is_current boolean,
    {%- endif %}
    _sluice_run_id varchar(64),
    _sluice_loaded_at timestamp
) {{ sluice.table_options(load) }}
{%- endmacro %}


{#- Its side table. -#}
{% macro create_side_sql(load) -%}
create table if not exists {{ load.side }} (
    {%- for column in load.columns %}
        {{ column.name }} {{ column.type }},
    {%- endfor %}
    _sluice_deleted smallint,
    _sluice_run_id varchar(64),
    _sluice_loaded_at timestamp
) {{ sluice.table_options(load) }}
{%- endmacro %}
