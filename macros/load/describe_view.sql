{#- The description of a refresh: the windows that it covers, and the definition that the view was created with.

    Args:
        existing (Relation or none): the target in the warehouse.
    Returns: dict with those keys of describe_load that commit_load reads. is_same tells whether the definition is
        unchanged.
    Raises: when the target is a relation of another type.
-#}
{% macro describe_view(existing) %}
    {%- set target_name = sluice.target_name() -%}
    {%- set windows = sluice.view_windows() -%}
    {%- set head = windows[0].target.head if windows else sluice.read_head(target_name) -%}
    {%- set started_at = sluice.utc_now() -%}
    {%- set relation = this.incorporate(type=sluice.view_type()) -%}
    {%- set definition = sluice.view_definition() -%}
    {%- set is_there = existing is not none and head is not none and head.load_id != "none" -%}
    {%- set load = {
        "type": "refresh",
        "target_name": target_name,
        "sql": sql,
        "mode": "full",
        "relation": relation,
        "relations": [relation],
        "head": sluice.companion_relation(target_name, "head"),
        "log": sluice.control_relation("load_log"),
        "windows": windows,
        "lookups": [],
        "driving_rows": none,
        "void_count": 0,
        "seen_load_id": head.load_id if head else "missing",
        "run_id": env_var("SLUICE_RUN_ID", invocation_id),
        "load_id": sluice.new_load_id(started_at),
        "started_at": sluice.instant_text(started_at),
        "loaded_at": sluice.next_loaded_at(started_at, head),
        "fingerprint": sluice.setting("fingerprint", ""),
        "definition": definition,
        "row_definition": none,
        "makes_target": existing is none,
        "is_same": is_there and head.definition == definition,
        "message": "REFRESHED",
        "is_same_query": is_there
        and head.definition.split(" auto refresh ")[0] == definition.split(" auto refresh ")[0],
        "epoch": head.epoch if head else 0,
        "changes_rows": true,
        "reshape": [],
        "counts": sluice.no_counts(),
        "temporaries": [],
        "script": [],
    } -%}
    {%- if existing is not none and existing.type != relation.type -%}
        {%- do sluice.raise_error(
            "refresh",
            target_name ~ " is a " ~ existing.type ~ ", not a " ~ relation.type ~ ".",
            "Drop or rename it, with its " ~ load.head ~ "; the next run creates it again.",
        ) -%}
    {%- endif -%}
    {%- do load.update(
        {
            "has_work": not load.is_same
            or should_full_refresh()
            or not windows
            or windows | selectattr("new") | list | length > 0,
        }
    ) -%}
    {{ return(load) }}
{% endmacro %}


{#- The windows of all driving sources. A refresh reads everything, and the log records how far that was. -#}
{% macro view_windows() %}
    {%- set dependencies = [] -%}
    {%- for written in sluice.setting('dependencies', []) if written.driving or written.on_change == "restate" -%}
        {%- set is_ref = written.get("ref") is not none -%}
        {%- set relation = ref(written.ref) if is_ref else source(written.source[0], written.source[1]) -%}
        {%- do dependencies.append(sluice.dependency(written, relation)) -%}
    {%- endfor -%}
    {{ return(sluice.capture_all(dependencies).values() | list) }}
{% endmacro %}


{#- The definition of the view, as its head keeps it. When it differs, the view is created again. -#}
{% macro view_definition() %}
    {%- set layout = [sluice.setting("distkey", "")] + sluice.list_setting("sortkey") -%}
    {{
        return(
            "refresh of "
            ~ local_md5(sql | trim ~ layout | join(","))
            ~ " auto refresh "
            ~ ("yes" if sluice.setting("auto_refresh", false) else "no")
            ~ " tracking nothing"
        )
    }}
{% endmacro %}


{% macro view_type() %}
    {{ return("table" if target.type == "duckdb" else "materialized_view") }}
{% endmacro %}
