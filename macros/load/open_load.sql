{#- Begin a load: decide whether it has work, then create or alter the target.

    A load has no work when the row is inactive or no driving source has new rows. Then nothing is written and no hook
    runs. A probe always has work: it checks the model, writes nothing and runs no hook. It creates or alters the
    tables as a load would, and rolls that back.

    Args:
        load_type (str): scd1, scd2 or append.
    Returns: dict, the load, which every later step takes. When has_work is false it holds only relations.
    Raises: when target and head contradict each other, or a setting does not fit the load type.
-#}
{% macro open_load(load_type) %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set task = sluice.asked_task() -%}
    {%- set is_active = (config.get("meta") or {}).get("is_active", true) -%}
    {%- if not is_active and not task and not sluice.is_probe() -%}
        {{ return(sluice.no_load(existing, "SKIP inactive")) }}
    {%- endif -%}
    {%- do sluice.check_adapter() -%}
    {%- set load = sluice.describe_load(load_type, existing) -%}
    {%- if task and (load.makes_target or load.is_first) -%}
        {%- do sluice.raise_error(
            load_type, load.target_name ~ " was never loaded.", "Load it first: sluice run."
        ) -%}
    {%- elif task in ("verify", "survey", "ties") -%} {{ return(sluice.inspect_target(load, task)) }}
    {%- elif not load.has_work -%} {{ return(sluice.no_load(existing, "SKIP nothing new")) }}
    {%- endif -%}
    {%- do sluice.label_session(load) -%}
    {%- do sluice.clear_temporaries(load) -%}
    {%- if not sluice.is_probe() -%} {{ run_hooks(pre_hooks, inside_transaction=False) }} {%- endif -%}
    {%- if load.result is not none -%} {%- do sluice.take_result(load) -%} {%- endif -%}
    {%- do sluice.check_contract(load) -%}
    {%- do sluice.describe_columns(load) -%}
    {%- if load.is_rekeyed -%} {%- do sluice.read_ledger(load) -%}
    {%- elif load.makes_target or load.seen_load_id == "missing" -%}
        {%- do load.update({"data_columns": load.columns}) -%}
        {%- do sluice.resolve_columns(load) -%}
        {%- do sluice.create_target(load) -%}
        {%- if load.seen_load_id == "missing" -%} {%- do load.update({"seen_load_id": "none"}) -%}
        {%- endif -%}
    {%- else -%}
        {%- do load.update({"data_columns": sluice.evolve_target(load)}) -%}
        {%- do sluice.resolve_columns(load) -%}
        {%- if load.is_full_refresh -%}
            {%- do load.update({"reshape": sluice.version_column_changes(load)}) -%}
        {%- endif -%}
    {%- endif -%}
    {%- if load.is_tried -%}
        {%- do sluice.unlabel_session(load) -%} {{ return(sluice.no_load(existing, "EMPTY checked")) }}
    {%- endif -%}
    {{ return(load) }}
{% endmacro %}


{#- The result of a load without work. dbt still needs the result of a statement named main. -#}
{% macro no_load(existing, message) %}
    {%- do store_raw_result("main", message=message, code="SKIP", rows_affected="0") -%}
    {{ return({"has_work": false, "relations": [existing] if existing else []}) }}
{% endmacro %}


{#- Reject settings under which Redshift would commit each statement separately. -#}
{% macro check_adapter() %}
    {%- if target.type == "redshift" -%}
        {%- if adapter.behavior.redshift_skip_autocommit_transaction_statements.no_warn -%}
            {%- do sluice.raise_error(
                "check_adapter",
                "the flag redshift_skip_autocommit_transaction_statements is true: loads would not be transactions.",
                "Set it to false under flags in dbt_project.yml.",
            ) -%}
        {%- elif target.get("autocommit") is false -%}
            {%- do sluice.raise_error(
                "check_adapter",
                "autocommit is false in the profile: dbt would not begin transactions.",
                "Set autocommit to true, or remove it.",
            ) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}


{#- Stop when somebody changed the table or its head by hand. -#}
{% macro check_target(load, existing, head) %}
    {%- if existing is not none and not existing.is_table -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " is a " ~ existing.type ~ ", not a table.",
            "Drop or rename it.",
        ) -%}
    {%- elif existing is not none and head is none -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name
            ~ " exists and was not created by Sluice (it has no "
            ~ load.head
            ~ ").",
            "Rename or drop the table; the next load creates it.",
        ) -%}
    {%- elif existing is none and head is not none and head.load_id != "none" and not should_full_refresh() and not sluice.is_there(
        load.relation
    ) -%}
        {#- is_there also finds a table that another load created after dbt listed the relations: CREATE TABLE then fails,
            which is a soft error -#}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " does not exist any more, but its head does.",
            "Restore the table, or load it again with --full-refresh.",
        ) -%}
    {%- endif -%}
{% endmacro %}
