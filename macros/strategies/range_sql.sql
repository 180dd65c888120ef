{#- An append without a business key: what stands in the range that was read goes, what was read comes.

    A retry and an overlapping backfill therefore never double a row.
-#}
{% macro stage_range(load) %}
    {%- set counts = sluice.run_counts(load, 'rows of the range', sluice.range_counts_sql(load)) -%}
    {%- do sluice.add_counts(load, counts) -%}
{% endmacro %}


{#- The rows of the target that lie in the window. -#}
{% macro range_condition(load) %}
    {%- if load.replaces -%}
        {{ return('1 = 1') }}
    {%- endif -%}
    {{ return(sluice.window_condition({'key': load.range_key}, load.windows[0])) }}
{% endmacro %}


{% macro range_counts_sql(load) -%}
select
    (select count(*) from {{ load.stage }}) as rows_inserted,
    (select count(*) from {{ load.relation }} where {{ sluice.range_condition(load) }}) as rows_deleted
{%- endmacro %}


{% macro range_sql(load) %}
{%- if load.counts.rows_deleted %}
{{ sluice.insert_side_sql(load, sluice.range_vanished_sql(load)) }}
delete from {{ load.relation }}
where {{ sluice.range_condition(load) }};
{% endif %}
{%- if load.counts.rows_inserted %}
{{ sluice.insert_rows_sql(load, 'select * from ' ~ load.stage) }}
{% endif %}
{% endmacro %}


{#- Rows that are gone for good, kept so that downstream readers by groups hear of them. -#}
{% macro range_vanished_sql(load) -%}
select
    {{ sluice.columns(load.data, indent=4) }},
    cast(1 as smallint) as _sluice_deleted
from {{ load.relation }}
where {{ sluice.range_condition(load) }}
except
select
    {{ sluice.columns(load.data, indent=4) }},
    cast(1 as smallint)
from {{ load.stage }}
{%- endmacro %}
