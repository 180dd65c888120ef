{#- Stop at settings that contradict each other, before anything is read.

    Args:
        load (dict): the load with its columns resolved.
-#}
{% macro check_settings(load) %}
    {%- if not load.key and load.type != "append" -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " has no business_key.",
            "Set business_key in transformation_control, or config().",
        ) -%}
    {%- elif load.type == "append" and load.delete_when -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " has delete_when, but append never deletes.",
            "Use scd1, or remove delete_when.",
        ) -%}
    {%- elif load.type == "append" and load.mode == "groups" -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " is read by groups, but append never replaces what it holds.",
            "Use scd1.",
        ) -%}
    {%- elif not load.key and load.mode != "rows" -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name
            ~ " has no business_key and is read in full: every load would duplicate its rows.",
            "Set business_key, or increment: rows.",
        ) -%}
    {%- elif load.on_tie not in ("warn", "error") -%}
        {%- do sluice.raise_error(
            load.type,
            "on_tie of " ~ load.target_name ~ " is " ~ load.on_tie ~ ".",
            "Use warn or error.",
        ) -%}
    {%- endif -%}
    {%- if not load.key and not load.is_rekeyed and sluice.asked_task() != "verify" -%}
        {%- do sluice.check_range(load) -%}
    {%- endif -%}
    {%- set is_kept = not (load.is_first or load.is_full_refresh or load.is_rekeyed) -%}
    {%- set built_as = sluice.read_definition(load.definition).built_as -%}
    {%- if load.stored and is_kept and load.stored.built_as != built_as -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name
            ~ " was loaded as "
            ~ load.stored.built_as
            ~ " and is now "
            ~ built_as
            ~ ". Its ledger cannot be read with the new settings.",
            "Change it back, or rebuild it from its ledger: sluice rebuild "
            ~ load.target_name
            ~ ".",
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- An append without a business key replaces the range that it reads, so its rows must contain the key that cuts the
    ranges; one that replaces the rows of files, the column that names the file. -#}
{% macro check_range(load) %}
    {%- set range_key = sluice.setting("incremental_key") -%}
    {%- set file_column = sluice.file_identity() -%}
    {%- if file_column is not none -%}
        {%- do load.update({"range_key": sluice.find_columns(load, "file_column", [file_column])[0]}) -%}
        {{ return("") }}
    {%- endif -%}
    {%- if load.windows | length != 1 or load.windows[0].kind is none or load.windows[
        0
    ].is_open or not range_key -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name
            ~ " has no business_key: it needs exactly one driving source, and that needs an incremental key.",
            "Set business_key.",
        ) -%}
    {%- endif -%}
    {%- do load.update({"range_key": sluice.find_columns(load, "incremental_key", [range_key])[0]}) -%}
{% endmacro %}
