{#- Compare a target with its ledger and its load log. It reads everything and writes temporary tables only.

    The versions of an SCD2 target are computed again from all of its events and compared one by one. An SCD1 target
    must hold each key once, and no deleted key. Every target is checked for three things: no NULL in a key, every row
    was written by a logged load, and the row count is the log's.

    Returns: dict(row_count, event_count, older_count: events that an older SELECT derived, counts: difference → number,
        differences: list of dict(difference, row, detail), at most 100).
    Raises: when the target was built with other settings, or another load commits meanwhile.
-#}
{% macro verify_target(load) %}
    {%- do sluice.resolve_stored_columns(load) -%}
    {%- set shape = sluice.read_definition(load.definition).shape -%}
    {%- if shape != load.stored.shape -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name
            ~ " was built as "
            ~ load.stored.shape
            ~ " and its settings now define "
            ~ shape
            ~ ".",
            "Verify it after the next load (tracked columns) or after sluice rebuild (anything else).",
        ) -%}
    {%- endif -%}
    {%- if "_sluice_definition" not in load.data -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " was last loaded by an earlier version of Sluice.",
            "Verify it after its next load.",
        ) -%}
    {%- endif -%}
    {%- set queries = [sluice.unlogged_rows_sql(load)] -%}
    {%- if load.key -%} {%- do queries.append(sluice.null_keys_sql(load)) -%} {%- endif -%}
    {%- if load.key and load.type == "scd2" -%}
        {%- do sluice.stage_expected_versions(load) -%}
        {%- do queries.extend(sluice.version_differences(load)) -%}
    {%- elif load.key -%} {%- do queries.extend(sluice.key_differences(load)) -%}
    {%- endif -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_difference",
        "all differences",
        sluice.combined(queries, "union all"),
    ) -%}
    {%- set counts = sluice.run_counts(load, none, sluice.verified_counts_sql(load)) -%}
    {%- set found = sluice.read_differences(load) -%}
    {%- if counts.logged_count != counts.row_count and counts.load_count -%}
        {%- do found.counts.update({"row count": 1}) -%}
        {%- do found.differences.insert(
            0,
            {
                "difference": "row count",
                "row": "",
                "detail": "the log counts "
                ~ counts.logged_count
                ~ " rows, the table holds "
                ~ counts.row_count,
            },
        ) -%}
    {%- endif -%}
    {%- if sluice.read_head(load.target_name).load_id != load.seen_load_id -%}
        {%- do sluice.raise_error(
            load.type,
            "another load of " ~ load.target_name ~ " committed while it was verified.",
            "Run it again.",
        ) -%}
    {%- endif -%}
    {{
        return(
            {
                "row_count": counts.row_count,
                "event_count": counts.row_count + counts.side_count,
                "older_count": counts.older_count,
                "counts": found.counts,
                "differences": found.differences,
            }
        )
    }}
{% endmacro %}
