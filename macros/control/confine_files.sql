{#- On-run-start, on DuckDB: let the connection read the files of declared sources and results, and no others.

    A SELECT that slips through the checks of `sluice validate` then still reads no file and opens no other database.
    The settings hold until the database is closed; nothing can widen them again.

    Allowed are the folders of the sources (`meta.folder`), the listing of their files (SLUICE_FILES), what Spark has left for this run (SLUICE_RESULTS), the
    project's seeds, and what SLUICE_DUCKDB_DIRECTORIES adds, separated by commas.
    Returns: nothing to run; the statements are sent here.
    Source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
-#}
{% macro confine_files() %}
    {%- if execute and adapter.type() == "duckdb" -%}
        {%- set is_locked = run_query("select current_setting('lock_configuration')") -%}
        {%- if not is_locked.rows[0][0] -%}
            {%- do sluice.confine_files_to(sluice.file_places()) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}


{#- Set what may be read, and lock the settings; those of the profile stay settable, for dbt sets them per thread. -#}
{% macro confine_files_to(places) %}
    {%- set remote = [] -%}
    {%- set folders = [] -%}
    {%- for folder in places.folders | unique -%}
        {%- do folders.append(sluice.literal(folder)) -%}
        {%- if folder.startswith("s3://") -%} {%- do remote.append(folder) -%} {%- endif -%}
    {%- endfor -%}
    {%- set files = [] -%}
    {%- for file in places.files | unique -%} {%- do files.append(sluice.literal(file)) -%} {%- endfor -%}
    {%- set kept = [] -%}
    {%- for name in target.get("settings") or {} -%}
        {%- do kept.append(sluice.literal(name)) -%}
    {%- endfor -%}
    {%- if remote -%} {%- do sluice.read_s3() -%} {%- endif -%}
    {%- do sluice.set_utc() -%}
    {%- do run_query("set allowed_directories = [" ~ folders | join(", ") ~ "]") -%}
    {%- do run_query("set allowed_paths = [" ~ files | join(", ") ~ "]") -%}
    {%- do run_query("set allowed_configs = [" ~ kept | join(", ") ~ "]") -%}
    {%- do run_query("set enable_external_access = false") -%}
    {%- do run_query("set lock_configuration = true") -%}
{% endmacro %}


{#- Count in UTC, as Spark, the gate and a server in the cloud do: a machine's own zone would change days and texts.

    Raises: when the profile sets another zone, which dbt would set again in each thread.
-#}
{% macro set_utc() %}
    {%- for name, value in (target.get("settings") or {}).items() -%}
        {%- if name | lower == "timezone" and value | upper != "UTC" -%}
            {%- do sluice.raise_error(
                "profile",
                "settings.TimeZone of target " ~ target.name ~ " is " ~ value ~ ".",
                "Remove it: loads count in UTC on every engine.",
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do run_query("set global TimeZone = 'UTC'") -%}
{% endmacro %}


{#- Load the extension that reads S3, and what it needs: a locked connection can load neither extension nor secrets.

    The extension reads credentials and region from AWS's variables; SLUICE_OBJECT_STORE holds what these cannot say.
-#}
{% macro read_s3() %}
    {%- do run_query("install httpfs; load httpfs") -%}
    {%- for name, value in fromjson(env_var("SLUICE_OBJECT_STORE", "{}")).items() -%}
        {%- do run_query("set global " ~ name ~ " = " ~ sluice.literal(value)) -%}
    {%- endfor -%}
    {%- do run_query("select count(*) from duckdb_secrets()") -%}
{% endmacro %}


{#- Which files this project's SELECTs may read.

    Returns: dict(folders, files), each a list of str.
-#}
{% macro file_places() %}
    {%- set folders = [] -%}
    {%- set files = [] -%}
    {%- for source in graph.sources.values() if source.meta.folder -%}
        {%- do folders.append(source.meta.folder) -%}
    {%- endfor -%}
    {%- for result in fromjson(env_var("SLUICE_RESULTS", "{}")).values() -%}
        {%- for pattern in [result.pattern, (result.groups or {}).pattern] if pattern -%}
            {%- do folders.append(pattern[: pattern.rindex("/") + 1]) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for folder in env_var("SLUICE_DUCKDB_DIRECTORIES", "").split(",") if folder | trim -%}
        {%- do folders.append((folder | trim).rstrip("/") ~ "/") -%}
    {%- endfor -%}
    {%- if sluice.listed_files().listing -%}
        {%- do files.append(sluice.listed_files().listing) -%}
    {%- endif -%}
    {%- for node in graph.nodes.values() if node.resource_type == "seed" -%}
        {%- do files.append(node.root_path ~ "/" ~ node.original_file_path) -%}
    {%- endfor -%}
    {{ return({"folders": folders, "files": files}) }}
{% endmacro %}
