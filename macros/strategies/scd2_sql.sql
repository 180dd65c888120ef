{#- The statements that write an SCD2 load to its side table and target. Empty when nothing changes. -#}
{% macro scd2_sql(load) %}
    {%- set parts = [] -%}
    {%- if load.replaces and not load.is_first -%}
        {%- do parts.append('delete from ' ~ load.side ~ ';\n') -%}
        {%- do parts.append('delete from ' ~ load.relation ~ ';\n') -%}
    {%- endif -%}
    {%- if load.is_first or load.replaces -%}
        {%- do parts.append(sluice.scd2_first_sql(load)) -%}
    {%- else -%}
        {%- if load.has_history -%}
            {%- do parts.append(sluice.scd2_differences_sql(load)) -%}
        {%- endif -%}
        {%- if load.fast.new_count -%}
            {%- do parts.append(sluice.scd2_fast_sql(load)) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(parts | join('\n')) }}
{% endmacro %}


{#- Insert version rows; query_sql yields the data columns, valid_from and valid_to. -#}
{% macro insert_versions_sql(load, query_sql) -%}
insert into {{ load.relation }} (
    {{ sluice.columns(load.data, indent=4) }},
    valid_from,
    valid_to,
    is_current,
    _sluice_run_id,
    _sluice_loaded_at
)
select
    {{ sluice.columns(load.data, indent=4) }},
    valid_from,
    valid_to,
    valid_to is null,
    {{ sluice.audit_sql(load) }}
from (
    {{ query_sql | indent(4) }}
) as versions;
{% endmacro %}


{#- Insert side rows; query_sql yields the data columns and _sluice_deleted. -#}
{% macro insert_side_sql(load, query_sql) -%}
insert into {{ load.side }} (
    {{ sluice.columns(load.data, indent=4) }},
    _sluice_deleted,
    _sluice_run_id,
    _sluice_loaded_at
)
select
    {{ sluice.columns(load.data, indent=4) }},
    _sluice_deleted,
    {{ sluice.audit_sql(load) }}
from (
    {{ query_sql | indent(4) }}
) as events;
{% endmacro %}


{#- Values of the two audit columns. -#}
{% macro audit_sql(load) %}
    {{ return(sluice.literal(load.run_id) ~ ',\n    cast(' ~ sluice.literal(load.loaded_at) ~ ' as timestamp)') }}
{% endmacro %}


{% macro scd2_first_sql(load) %}
    {%- set versions_sql -%}
select
    {{ sluice.columns(load.data, indent=4) }},
    {{ load.at }} as valid_from,
    cast(null as {{ load.types[load.at] }}) as valid_to
from (
    {{ sluice.scd2_single_sql(load) | indent(4) }}
) as singles
where _sluice_deleted = 0
{%- if load.has_history %}
union all
select
    {{ sluice.columns(load.data, indent=4) }},
    valid_from,
    valid_to
from sluice_version
where _sluice_is_end = 1 and _sluice_deleted = 0
{%- endif %}
    {%- endset -%}
    {%- set side_sql -%}
select
    {{ sluice.columns(load.data, indent=4) }},
    _sluice_deleted
from (
    {{ sluice.scd2_single_sql(load) | indent(4) }}
) as singles
where _sluice_deleted = 1
{%- if load.has_history %}
union all
select
    {{ sluice.columns(load.data, indent=4) }},
    _sluice_deleted
from sluice_version
where _sluice_is_end = 0 or _sluice_deleted = 1
{%- endif %}
    {%- endset -%}
    {{ return(
        (sluice.insert_side_sql(load, side_sql) if load.fast.side_count else '')
        ~ (sluice.insert_versions_sql(load, versions_sql) if load.fast.rows_inserted else '')
    ) }}
{% endmacro %}


{% macro scd2_differences_sql(load) %}
{%- if load.history.side_gone %}
delete from {{ load.side }}
using sluice_side_gone
where {{ sluice.matches(load.key + [load.at], load.side.include(database=false, schema=false), 'sluice_side_gone') }};
{% endif %}
{%- if load.history.side_new %}
{{ sluice.insert_side_sql(load, 'select * from sluice_side_new') }}
{% endif %}
{%- if load.history.versions_gone %}
delete from {{ load.relation }}
using sluice_version_gone
where {{ sluice.matches(load.key + ['valid_from'], load.relation.include(database=false, schema=false), 'sluice_version_gone') }};
{% endif %}
{%- if load.history.versions_new %}
{{ sluice.insert_versions_sql(load, 'select * from sluice_version_new') }}
{% endif %}
{% endmacro %}
