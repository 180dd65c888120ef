{#- First statement of a load: take the head, and stop when another load took it after the windows were read.

    The cast runs only in the ELSE branch, and the text that it fails on is the message. A division by zero does not
    work: DuckDB yields infinity. The message contains a column, so that no database evaluates the cast as a constant
    beforehand. An empty head was refused when it was read.
-#}
{% macro take_head_sql(load) -%}
    {%- set load_id, loaded_at, fingerprint, definition, seen_load_id = sluice.literals(
        [load.load_id, load.loaded_at, load.fingerprint, load.definition, load.seen_load_id]
    ) -%}
update {{ load.head }}
set
    load_id = case
        when load_id = {{ seen_load_id }} then {{ load_id }}
        else cast(
            cast(
                'sluice: another load of {{ load.target_name }} committed first ('
                || load_id
                || '); nothing was written, run it again' as integer
            ) as varchar(64)
        )
    end,
    {%- if load.changes_rows %}
    loaded_at = cast({{ loaded_at }} as timestamp),
    {%- endif %}
    logged_at = cast({{ loaded_at }} as timestamp),
    fingerprint = {{ fingerprint }},
    definition = {{ definition }},
    epoch = {{ load.epoch }}
{%- endmacro %}


{#- Last statement of a load: its log rows, one per driving source. They hold the watermark. -#}
{% macro insert_log_sql(load) -%}
    {%- set finished_at = sluice.instant_text(sluice.utc_now()) -%}
    {%- set derivation = (
        "null"
        if load.row_definition is none
        else "'" ~ load.definition_number ~ ":" ~ load.row_definition ~ "'"
    ) -%}
insert into {{ load.log }} (
    load_id, run_id, target, source, window_start, window_end, moves_watermark,
    rows_read, rows_inserted, rows_updated, rows_closed, rows_deleted, rows_rejected,
    tie_count, lookback_count, epoch, source_epoch, loaded_at, started_at, finished_at, definition,
    driving_rows, void_count
)
values
    {%- for window in load.windows + load.lookups | selectattr("new") | list %}
        {%- set names_and_bounds = sluice.literals(
            [load.load_id, load.run_id, load.target_name, window.source, window.start, window.end]
        ) %}
    (
        {{ names_and_bounds | join(",\n        ") }},
        {{ window.moves_watermark | lower }},
        {{ load.counts.rows_read }},
        {{ load.counts.rows_inserted }},
        {{ load.counts.rows_updated }},
        {{ load.counts.rows_closed }},
        {{ load.counts.rows_deleted }},
        {{ load.counts.rows_rejected }},
        {{ load.counts.tie_count }},
        {{ "null" if window.lookback_count is none else window.lookback_count }},
        {{ load.epoch }},
        {{ "null" if window.source_epoch is none else window.source_epoch }},
        cast('{{ load.loaded_at }}' as timestamp),
        cast('{{ load.started_at }}' as timestamp),
        cast('{{ finished_at }}' as timestamp),
        {{ derivation }},
        {{ "null" if load.driving_rows is none else sluice.literal(tojson(load.driving_rows)) }},
        {{ load.void_count }}
    ){{ ',' if not loop.last }}
    {%- endfor %}
{% endmacro %}
