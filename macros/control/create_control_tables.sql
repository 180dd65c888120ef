{#- On-run-start: create Sluice's schema, the load log and the watermark view where they are missing.

    Returns: nothing to run; the statements are sent and committed here, each only when it is needed.
-#}
{% macro create_control_tables() %}
    {%- if execute and flags.WHICH in (
        "run",
        "build",
        "run-operation",
        "retry",
        "test",
        "seed",
        "snapshot",
    ) -%}
        {%- set load_log = sluice.control_relation("load_log") -%}
        {%- if not sluice.is_there(sluice.control_relation("watermark_control")) -%}
            {%- do adapter.create_schema(load_log) -%}
            {%- call statement("sluice_control_tables") -%}
                {{ sluice.create_load_log_sql(load_log) }}
                ;
                {{ sluice.create_load_log_index_sql(load_log) }}
                {{ sluice.create_watermark_control_sql(load_log) }}
            {%- endcall -%}
            {%- do adapter.commit() -%}
            {%- elif "void_count" not in adapter.get_columns_in_relation(load_log) | map(attribute="name") -%}
            {#- an earlier version of Sluice made the log -#}
            {%- set there = adapter.get_columns_in_relation(load_log) | map(attribute="name") | list -%}
            {%- for column in sluice.later_log_columns() if column.split(" ")[0] not in there -%}
                {%- call statement("sluice_control_tables") -%}
                    alter table {{ load_log }} add column {{ column }}
                {%- endcall -%}
                {%- do adapter.commit() -%}
            {%- endfor -%}
        {%- endif -%}
        {%- do adapter.dispatch("create_lake_files", "sluice")() -%}
    {%- endif -%}
{% endmacro %}


{#- On DuckDB and Redshift, the files that targets have read of lake sources: one row per load and file. The newest row of a file
    counts. Rows are only added; a full refresh removes those of its target.

    key_from is the file's least key, for an append without a business key; future_from the least key that was left out
    because it lies in the future.
-#}
{% macro default__create_lake_files() %} {% endmacro %}

{% macro redshift__create_lake_files() %}
    {%- set files = sluice.control_relation("lake_files") -%}
    {%- if sluice.listed_files().listing and not sluice.is_there(files) -%}
        {%- call statement("sluice_lake_files") -%}
            create table if not exists {{ files }} (
                target varchar(256),
                source varchar(256),
                load_id varchar(64),
                name varchar(1024),
                version varchar(256),
                loaded_at timestamp,
                key_from varchar(64),
                future_from varchar(64)
            )
        {%- endcall -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{% endmacro %}

{% macro duckdb__create_lake_files() %}
    {%- set files = sluice.control_relation("lake_files") -%}
    {%- if not sluice.is_there(files) -%}
        {%- call statement("sluice_lake_files") -%}
            create table if not exists {{ files }} (
                target varchar,
                source varchar,
                load_id varchar,
                name varchar,
                version varchar,
                loaded_at timestamp,
                key_from varchar,
                future_from varchar
            )
        {%- endcall -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{% endmacro %}


{#- Columns of the load log that its first version did not have. -#}
{% macro later_log_columns() %}
    {{ return(["definition varchar(64)", "driving_rows varchar(4000)", "void_count bigint"]) }}
{% endmacro %}


{#- One row per load and driving source, and one per lookup whose change derived rows again. Rows are only added.

    driving_rows is JSON: the rows read of the driving source, those that the SELECT yielded of them, and those without a row
    in a lookup that drops them. void_count is the number of events that left because a lookup changed.
-#}
{% macro create_load_log_sql(load_log) -%}
create table if not exists {{ load_log }} (
    load_id varchar(64),
    run_id varchar(64),
    target varchar(127),
    source varchar(127),
    window_start varchar(64),
    window_end varchar(128),
    moves_watermark boolean,
    rows_read bigint,
    rows_inserted bigint,
    rows_updated bigint,
    rows_closed bigint,
    rows_deleted bigint,
    rows_rejected bigint,
    tie_count bigint,
    lookback_count bigint,
    epoch bigint,
    source_epoch bigint,
    loaded_at timestamp,
    started_at timestamp,
    finished_at timestamp,
    {{ sluice.later_log_columns() | join(",\n    ") }}
)
{%- endmacro %}


{#- An index that finds the newest row of a (target, source), on a warehouse that has indexes. -#}
{% macro create_load_log_index_sql(load_log) -%}
    {{ return(adapter.dispatch("create_load_log_index_sql", "sluice")(load_log)) }}
{%- endmacro %}

{% macro default__create_load_log_index_sql(load_log) -%} {%- endmacro %}

{% macro postgres__create_load_log_index_sql(load_log) -%}
create index if not exists load_log_newest on {{ load_log }} (target, source, loaded_at) where moves_watermark
    ;
{%- endmacro %}

{#- dbt's Redshift adapter inherits PostgreSQL's macros, but Redshift has no indexes. -#}
{% macro redshift__create_load_log_index_sql(load_log) -%} {%- endmacro %}


{#- How far each target has read each source: the newest log row that moves the watermark.

    Only the newest rows are ranked: ranking a log of years would cost more than a load.
-#}
{% macro create_watermark_control_sql(load_log) -%}
create or replace view {{ sluice.control_relation('watermark_control').incorporate(type='view') }} as
with
    newest as (
        select target, source, max(loaded_at) as loaded_at
        from {{ load_log }}
        where moves_watermark
        group by target, source
    ),
    ranked_loads as (
        select
            load_log.target,
            load_log.source,
            load_log.window_start,
            load_log.window_end,
            load_log.lookback_count,
            load_log.epoch,
            load_log.source_epoch,
            load_log.load_id,
            load_log.run_id,
            load_log.loaded_at,
            load_log.finished_at,
            row_number() over (
                partition by load_log.target, load_log.source order by load_log.load_id desc
            ) as recency
        from {{ load_log }} as load_log
        inner join
            newest
            on load_log.target = newest.target
            and load_log.source = newest.source
            and load_log.loaded_at = newest.loaded_at
        where load_log.moves_watermark
    )
select
    target,
    source,
    window_start,
    window_end,
    lookback_count,
    epoch,
    source_epoch,
    load_id,
    run_id,
    loaded_at,
    finished_at
from ranked_loads
where recency = 1
{%- endmacro %}
