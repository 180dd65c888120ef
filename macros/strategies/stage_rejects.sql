{#- Take the rows that cannot be loaded out of the stage; they go to the target's rejects with the load. -#}
{% macro stage_rejects(load) %}
    {%- set max_rejects = sluice.setting('max_rejects') -%}
    {%- if max_rejects is not none and load.counts.rows_rejected > max_rejects | int -%}
        {%- set example = sluice.first_reason(load) -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ ' would reject ' ~ load.counts.rows_rejected ~ ' of ' ~ load.counts.rows_read
            ~ ' rows, max_rejects is ' ~ max_rejects ~ '. Nothing was written. One reason: ' ~ example ~ '.',
            'Mend the source or the SELECT, or raise max_rejects.'
        ) -%}
    {%- endif -%}
    {%- do sluice.run_temporary(load, 'sluice_reject', 'rows that cannot be loaded', sluice.reject_sql(load)) -%}
    {%- do sluice.run_step(load, none, 'delete from sluice_stage where _sluice_reject is not null') -%}
{% endmacro %}


{% macro reject_sql(load) -%}
select
    _sluice_reject as reason,
    substring(
        {%- for name in load.yielded %}
        {{ sluice.literal((', ' if not loop.first else '') ~ name ~ '=') }} || coalesce(cast({{ name }} as varchar), 'NULL'){{ ' ||' if not loop.last }}
        {%- endfor %},
        1, 2000
    ) as row_text
from sluice_stage
where _sluice_reject is not null
{%- endmacro %}


{% macro first_reason(load) %}
    {%- call statement('sluice_reason', fetch_result=true, auto_begin=false) -%}
        select min(_sluice_reject) as reason from sluice_stage
    {%- endcall -%}
    {{ return(load_result('sluice_reason').table.rows[0][0]) }}
{% endmacro %}


{% macro insert_rejects_sql(load) -%}
insert into {{ load.rejects }} (load_id, run_id, rejected_at, reason, row_text)
select
    {{ sluice.literal(load.load_id) }},
    {{ sluice.literal(load.run_id) }},
    cast({{ sluice.literal(load.loaded_at) }} as timestamp),
    reason,
    row_text
from sluice_reject;
{% endmacro %}
