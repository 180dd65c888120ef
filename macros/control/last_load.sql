{#- What the log says of a target and of the targets that it reads, by two statements: one asks the catalog what stands,
    one reads it.

    Args:
        target_name (str): `schema.table`.
        dependencies (list of dict): see driving_dependencies; none: only the target's head is read.
    Returns: dict(heads: target to its head, see below, without those that Sluice never made; watermarks: source to
        dict(end, lookback_count, source_epoch), without those that were never read; has_side (bool): whether the target
        has its side table; key_types: source to the type of its incremental key, where the catalog knows it).

    A head is the last committed load of a target: dict(load_id, loaded_at, logged_at, epoch, definition) as text, epoch as
    int. It protects a load against a concurrent load of the same target.
-#}
{% macro read_log(target_name, dependencies=[]) %}
    {%- set side, head = sluice.companion_relations(target_name, ["side", "head"]) -%}
    {%- set view = side.incorporate(path={"identifier": "watermark_control"}) -%}
    {%- set heads = {target_name: head} -%}
    {%- for dependency in dependencies if dependency.managed -%}
        {%- do heads.update({dependency.source: sluice.companion_relation(dependency.source, "head")}) -%}
    {%- endfor -%}
    {%- set standing = sluice.read_catalog([view, side] + heads.values() | list, dependencies) -%}
    {%- set queries = [] -%}
    {%- for name, head in heads.items() if head.identifier in standing.tables -%}
        {%- do queries.append(sluice.head_row_sql(name, head)) -%}
    {%- endfor -%}
    {%- if dependencies and view.identifier in standing.tables -%}
        {%- do queries.append(
            sluice.watermark_rows_sql(
                view, target_name, dependencies | map(attribute="source") | list
            )
        ) -%}
    {%- endif -%}
    {%- set log = {
        "heads": {},
        "watermarks": {},
        "has_side": side.identifier in standing.tables,
        "key_types": standing.key_types,
    } -%}
    {%- if queries -%} {%- do sluice.take_log_rows(log, queries) -%} {%- endif -%}
    {%- for name, head in heads.items() if head.identifier in standing.tables and name not in log.heads -%}
        {%- do sluice.refuse_head(head, "no row") -%}
    {%- endfor -%}
    {{ return(log) }}
{% endmacro %}


{#- The head of a target, read by itself; none when Sluice never made the target. -#}
{% macro read_head(target_name) %}
    {{ return(sluice.read_log(target_name).heads.get(target_name)) }}
{% endmacro %}


{% macro head_row_sql(name, head) -%}
    select
        'head' as part,
        {{ sluice.literal(name) }} as name,
        load_id,
        'is ' || {{ sluice.key_text("loaded_at", "timestamp") }} as loaded_at,
        'is ' || {{ sluice.key_text("logged_at", "timestamp") }} as logged_at,
        epoch,
        definition,
        cast(null as bigint) as lookback_count
    from {{ head }}
{%- endmacro %}


{#- The end of a window stands in the column of the times. -#}
{% macro watermark_rows_sql(view, target_name, sources) -%}
    select
        'watermark',
        source,
        cast(null as varchar(64)),
        'is ' || window_end,
        cast(null as varchar(64)),
        source_epoch,
        cast(null as varchar(64)),
        lookback_count
    from {{ view }}
    where
        target = {{ sluice.literal(target_name) }} and source in ({{ sluice.literals(sources) | join(", ") }})
{%- endmacro %}


{#- Run the queries as one and sort their rows into heads and watermarks. The prefix 'is ' stops dbt from converting text
    to a number or a date. -#}
{% macro take_log_rows(log, queries) %}
    {%- call statement("sluice_log", fetch_result=true, auto_begin=false) -%}
        {{ queries | join("\nunion all\n") }}
    {%- endcall -%}
    {%- for row in load_result("sluice_log").table.rows -%}
        {%- set at = row[3][3:] if row[3] is not none else none -%}
        {%- if row[0] == "watermark" -%}
            {%- do log.watermarks.update(
                {
                    row[1]: {
                        "end": at,
                        "lookback_count": row[7] | int,
                        "source_epoch": row[5] | int,
                    }
                }
            ) -%}
        {%- elif row[1] in log.heads -%}
            {%- do sluice.refuse_head("The head of " ~ row[1], "several rows") -%}
        {%- else -%}
            {%- do log.heads.update(
                {
                    row[1]: {
                        "load_id": row[2],
                        "loaded_at": at,
                        "logged_at": row[4][3:] if row[4] is not none else none,
                        "epoch": row[5] | int,
                        "definition": row[6],
                    }
                }
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}


{% macro refuse_head(head, finding) %}
    {%- do sluice.raise_error(
        "read_log",
        head ~ " holds " ~ finding ~ " instead of one.",
        "Restore the table, or drop it with its target.",
    ) -%}
{% endmacro %}
