{#- The statements that write an SCD1 load to its side table and target. Empty when nothing changes. -#}
{% macro scd1_sql(load) %}
{%- if load.replaces and not load.is_first %}
delete from {{ load.side }};
delete from {{ load.relation }};
{% else %}
{%- if load.fast.buried_count %}
delete from {{ load.side }}
using sluice_event
where {{ sluice.matches(load.key, load.side.include(database=false, schema=false), 'sluice_event') }};
{% endif %}
{%- if load.fast.rows_updated or load.fast.rows_deleted %}
delete from {{ load.relation }}
using sluice_event
where {{ sluice.matches(load.key, load.relation.include(database=false, schema=false), 'sluice_event') }} and sluice_event._sluice_is_stored = 1;
{% endif %}
{%- endif %}
{%- if load.fast.side_count %}
{{ sluice.insert_side_sql(load, 'select ' ~ sluice.columns(load.data) ~ ', _sluice_deleted from sluice_event where _sluice_deleted = 1') }}
{% endif %}
{%- if load.fast.rows_inserted or load.fast.rows_updated %}
{{ sluice.insert_rows_sql(load, 'select * from sluice_event where _sluice_deleted = 0') }}
{% endif %}
{% endmacro %}


{#- Insert rows of an SCD1 or append target; query_sql yields the data columns. -#}
{% macro insert_rows_sql(load, query_sql) -%}
insert into {{ load.relation }} ({{ sluice.columns(load.data) }}, _sluice_run_id, _sluice_loaded_at)
select
    {{ sluice.columns(load.data, indent=4) }},
    {{ sluice.audit_sql(load) }}
from (
    {{ query_sql | indent(4) }}
) as events;
{% endmacro %}
