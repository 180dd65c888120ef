{#- The description of a load, before its columns are known.

    Args:
        load_type (str): scd1, scd2 or append.
        existing (Relation or none): the target in the warehouse.
    Returns: dict, the load. Later steps add to it.
-#}
{% macro describe_load(load_type, existing) %}
    {%- set target_name = sluice.target_name() -%}
    {%- set every_window = sluice.read_windows(sql) -%}
    {%- set standing = sluice.standing_target(target_name, every_window) -%}
    {%- set head = standing.head -%}
    {%- set windows = every_window | selectattr("is_lookup", "undefined") | list -%}
    {%- set lookups = every_window | selectattr("is_lookup", "defined") | list -%}
    {%- set started_at = sluice.utc_now() -%}
    {%- set side, rejects, head_table = sluice.companion_relations(
        target_name, ["side", "rejects", "head"]
    ) -%}
    {%- set load = {
        "type": load_type,
        "target_name": target_name,
        "sql": sql,
        "result": sluice.result(),
        "mode": sluice.setting("increment", "rows"),
        "relation": this.incorporate(type="table"),
        "relations": [this.incorporate(type="table")],
        "side": side,
        "has_side": standing.has_side,
        "rejects": rejects,
        "head": head_table,
        "log": side.incorporate(path={"identifier": "load_log"}),
        "windows": windows,
        "lookups": lookups,
        "restates": false,
        "void_count": 0,
        "dropping": (config.get("meta") or {}).get("lookups", {}).get("dropping", []),
        "driving_rows": none,
        "replaced_texts": [],
        "seen_load_id": (
            windows[0].head if windows and head else (head.load_id if head else "missing")
        ),
        "run_id": env_var("SLUICE_RUN_ID", invocation_id),
        "load_id": sluice.new_load_id(started_at),
        "started_at": sluice.instant_text(started_at),
        "loaded_at": sluice.next_loaded_at(started_at, head),
        "fingerprint": sluice.setting("fingerprint", ""),
        "stored": sluice.read_definition(head.definition if head else none),
        "tracks": sluice.tracking(load_type, sluice.list_setting("scd_columns")),
        "makes_target": existing is none,
        "is_first": head is none or head.load_id == "none",
        "is_full_refresh": should_full_refresh(),
        "is_rebuild": false,
        "is_rekeyed": sluice.asked_task() in ("survey", "rebuild", "prune"),
        "is_restated": sluice.asked_task() == "restate",
        "row_definition": sluice.row_definition(),
        "definition_number": 1,
        "epoch": head.epoch if head else 0,
        "stored_epoch": head.epoch if head else 0,
        "changes_rows": true,
        "reshape": [],
        "is_tried": false,
        "counts": sluice.no_counts(),
        "stage": "sluice_stage",
        "events": "sluice_event",
        "temporaries": [],
        "is_cleared": false,
        "events_counted": none,
        "key_counts": none,
        "starts": none,
        "script": [],
    } -%}
    {%- do sluice.check_target(load, existing, head) -%}
    {%- if head and not load.is_first and not load.is_rekeyed and load.stored.tracks != load.tracks -%}
        {%- do load.update({"is_rebuild": true}) -%}
    {%- endif -%}
    {%- if load.stored and load.is_rekeyed -%}
        {#- a ledger keeps what its events were derived by -#}
        {%- do load.update(
            {"definition_number": load.stored.number, "row_definition": load.stored.row_definition}
        ) -%}
    {%- elif load.stored and not load.is_first -%}
        {#- rows of an earlier version of Sluice have number 0, by the SELECT that its first load today runs -#}
        {%- set is_known = load.stored.row_definition or load.is_restated -%}
        {%- set is_new = is_known and load.stored.row_definition != load.row_definition -%}
        {%- set number = [load.stored.number, 1] | max + 1 if is_new else load.stored.number -%}
        {%- do load.update({"definition_number": number}) -%}
    {%- endif -%}
    {%- do load.update(
        {
            "replaces": load.is_full_refresh or load.is_rebuild or load.is_rekeyed,
        }
    ) -%}
    {%- if load.replaces and not load.is_first -%}
        {%- do load.update({"epoch": load.epoch + 1}) -%}
    {%- endif -%}
    {%- do load.update(
        {
            "restates": (
                lookups | selectattr("restates", "defined") | list | length > 0
                and load.mode == "rows"
                and not (load.is_first or load.is_full_refresh or load.is_rekeyed or flags.EMPTY)
            )
        }
    ) -%}
    {%- do load.update(
        {
            "has_work": sluice.is_probe()
            or load.makes_target
            or load.replaces
            or (
                load.mode == "full"
                and load.definition_number != (load.stored.number if load.stored else 0)
            )
            or not windows
            or every_window | selectattr("new") | list | length > 0
        }
    ) -%}
    {{ return(load) }}
{% endmacro %}


{#- What the log says of the target: dict(head, has_side). The windows hold what it said when they were cut; those that
    Spark read are older than this load. -#}
{% macro standing_target(target_name, windows) %}
    {%- if windows and sluice.result() is none -%} {{ return(windows[0].target) }} {%- endif -%}
    {%- set log = sluice.read_log(target_name) -%}
    {{ return({"head": log.heads.get(target_name), "has_side": log.has_side}) }}
{% endmacro %}


{#- The load time of this load's rows: now, and always later than the load before, even when a clock is wrong. -#}
{% macro next_loaded_at(now, head) %}
    {%- if head and head.logged_at is not none -%}
        {%- set after = sluice.parse_instant(head.logged_at | string) + modules.datetime.timedelta(
            microseconds=1
        ) -%}
        {{ return(sluice.instant_text(after if after > now else now)) }}
    {%- endif -%}
    {{ return(sluice.instant_text(now)) }}
{% endmacro %}


{#- The id of a load. Ids sort by time and are unique. -#}
{% macro new_load_id(started_at) %}
    {{
        return(
            started_at.strftime("%Y%m%dT%H%M%S%f") ~ "-" ~ local_md5(invocation_id ~ model.unique_id)[:12]
        )
    }}
{% endmacro %}


{% macro no_counts() %}
    {{
        return(
            {
                "rows_read": 0,
                "rows_inserted": 0,
                "rows_updated": 0,
                "rows_closed": 0,
                "rows_deleted": 0,
                "rows_rejected": 0,
                "tie_count": 0,
            }
        )
    }}
{% endmacro %}
