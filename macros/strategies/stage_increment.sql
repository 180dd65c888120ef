{#- Stage what the SELECT yields: rejects apart, absences added as deletes, one winner per key and time.

    Everything goes to temporary tables. Sets stage (the table that holds the events) and the first counts.

    Args:
        load (dict): the load.
    Raises: for more rejects than max_rejects, ties under on_tie error, or more absences than max_vanish_percent.
-#}
{% macro stage_increment(load) %}
    {%- if load.mode == 'groups' -%}
        {%- do sluice.stage_touched_groups(load) -%}
    {%- endif -%}
    {%- do sluice.run_step(load, none, 'drop table if exists sluice_stage') -%}
    {%- do sluice.run_step(load, 'the rows of the increment', sluice.stage_sql(load)) -%}
    {%- do load.temporaries.append('sluice_stage') -%}
    {%- set counts = sluice.run_counts(load, 'how many, how many of them rejected, how many (key, time) pairs more than once', sluice.stage_counts_sql(load)) -%}
    {%- set unkeyed_count = sluice.count_unkeyed(load) -%}
    {%- do load.counts.update({
        'rows_read': counts.rows_read + unkeyed_count, 'rows_rejected': counts.rows_rejected + unkeyed_count
    }) -%}
    {%- set reads_absence = load.mode != 'rows' and load.type != 'append' and not load.is_first and not load.is_full_refresh and not flags.EMPTY -%}
    {%- if reads_absence -%}
        {%- do sluice.stage_absences(load) -%}
    {%- endif -%}
    {%- if load.counts.rows_rejected -%}
        {%- do sluice.stage_rejects(load) -%}
    {%- endif -%}
    {%- if counts.contested_count and load.key -%}
        {%- do sluice.stage_winners(load) -%}
    {%- endif -%}
    {%- if load.is_rebuild and not load.is_full_refresh -%}
        {%- do sluice.run_temporary(
            load, 'sluice_ledger', 'every event ever accepted, with those of this increment', sluice.winners_sql(load, sluice.ledger_sql(load))
        ) -%}
        {%- do load.update({'stage': 'sluice_ledger'}) -%}
    {%- endif -%}
{% endmacro %}


{#- The SELECT, each column in the target's type, with what decides over the row: is it a delete, is it fit to be loaded. -#}
{% macro stage_sql(load) %}
    {%- set columns = [] -%}
    {%- for column in load.data_columns -%}
        {%- set value = sluice.staged_column(load, column) -%}
        {%- do columns.append(value if value == column.name else value ~ ' as ' ~ column.name) -%}
    {%- endfor -%}
    {%- set is_delete = 'case when ' ~ load.delete_when ~ ' then 1 else 0 end' if load.delete_when else '0' -%}
    {%- do columns.append('cast(' ~ is_delete ~ ' as smallint) as _sluice_deleted') -%}
    {%- do columns.append(sluice.reject_reason(load) ~ ' as _sluice_reject') -%}
    {#- the SELECT stays letter for letter: a literal in it may span lines -#}
    {{ return(
        'create temporary table sluice_stage as\nwith sluice_selected as (\n' ~ load.sql ~ '\n)\n\nselect\n    '
        ~ columns | join(',\n    ') ~ '\nfrom sluice_selected'
    ) }}
{% endmacro %}


{#- One column of the stage. Minus zero becomes zero: the two are equal, and a result must not depend on which came first. -#}
{% macro staged_column(load, column) %}
    {%- set raw_type = sluice.raw_type(load, column.name) -%}
    {%- if column.name == '_sluice_effective_at' -%}
        {{ return('cast(' ~ sluice.literal(load.loaded_at) ~ ' as timestamp)') }}
    {%- elif column.name not in load.yielded -%}
        {{ return('cast(null as ' ~ column.type ~ ')') }}
    {%- endif -%}
    {%- set value = column.name if raw_type == column.type else sluice.cast_value(column.name, column.type) -%}
    {%- if column.type in ('float', 'double', 'real', 'double precision') -%}
        {{ return('cast(' ~ value ~ ' + 0 as ' ~ column.type ~ ')') }}
    {%- endif -%}
    {{ return(value) }}
{% endmacro %}


{% macro raw_type(load, name) %}
    {%- for column in load.columns if column.name == name -%}
        {{ return(column.raw_type) }}
    {%- endfor -%}
    {{ return(none) }}
{% endmacro %}


{#- Cast a value to a column's type; NULL for a value that does not cast, where the warehouse can do that. -#}
{% macro cast_value(expression, type) %}
    {{ return(adapter.dispatch('cast_value', 'sluice')(expression, type)) }}
{% endmacro %}

{#- PostgreSQL 15 and Redshift stop at a value that does not cast. -#}
{% macro default__cast_value(expression, type) %}
    {{ return('cast(' ~ expression ~ ' as ' ~ type ~ ')') }}
{% endmacro %}

{% macro duckdb__cast_value(expression, type) %}
    {{ return('try_cast(' ~ expression ~ ' as ' ~ type ~ ')') }}
{% endmacro %}


{#- Why a row cannot be loaded, NULL for a row that can. -#}
{% macro reject_reason(load) %}
    {%- set reasons = [] -%}
    {%- for column in load.data_columns if column.name in load.yielded and sluice.raw_type(load, column.name) not in (none, column.type) -%}
        {%- set value = sluice.cast_value(column.name, column.type) -%}
        {%- do reasons.append(
            'when ' ~ column.name ~ ' is not null and ' ~ value ~ ' is null then '
            ~ sluice.literal(column.name ~ ' does not cast to ' ~ column.type ~ ': ') ~ ' || substring(cast(' ~ column.name ~ ' as varchar), 1, 200)'
        ) -%}
    {%- endfor -%}
    {%- set needed = load.key + ([] if load.is_load_timed else [load.at]) + ([load.range_key] if load.range_key else []) -%}
    {%- if load.mode == 'rows' and sluice.setting('incremental_key') in load.yielded -%}
        {%- do needed.append(sluice.setting('incremental_key')) -%}
    {%- endif -%}
    {%- for name in needed | unique -%}
        {%- do reasons.append('when ' ~ name ~ ' is null then ' ~ sluice.literal(name ~ ' is NULL')) -%}
    {%- endfor -%}
    {{ return('cast(' ~ ('case\n        ' ~ reasons | join('\n        ') ~ '\n    end' if reasons else 'null') ~ ' as varchar(2000))') }}
{% endmacro %}


{% macro stage_counts_sql(load) -%}
select
    coalesce(sum(_sluice_row_count), 0) as rows_read,
    coalesce(sum(case when _sluice_is_rejected = 1 then _sluice_row_count else 0 end), 0) as rows_rejected,
    coalesce(sum(case when _sluice_is_rejected = 0 and _sluice_row_count > 1 then 1 else 0 end), 0) as contested_count
from (
    select
        {{ sluice.columns(load.key + [load.at]) }},
        case when _sluice_reject is null then 0 else 1 end as _sluice_is_rejected,
        count(*) as _sluice_row_count
    from sluice_stage
    group by
        {{ sluice.columns(load.key + [load.at]) }},
        case when _sluice_reject is null then 0 else 1 end
) as pairs
{%- endmacro %}
