{#- Files whose rows leave a target: those that are gone, and those that are replaced where rows are known by their file. -#}
{#- The files of a source that a target has read and that are gone, as a query; a version without text notes that a load has
    removed their rows. Files that the target leaves out are there. -#}
{% macro gone_files_sql(source_name, window) -%}
    select files_read.name, files_read.key_from
    from {{ sluice.files_read_sql(source_name) }} as files_read
    left join {{ sluice.all_listed_sql(window.records) }} as listed on files_read.name = listed.name
    where listed.name is null and files_read.version <> ''
{%- endmacro %}


{#- Cut the window of a source whose rows are replaced by file: the load reads the files that the target has not read as they are,
    and takes the rows of those, and of files that are gone, out of the target.

    Args:
        window (dict): filled in here, captured by its change token.
        dependency (dict): see driving_dependencies.
        watermark (dict or none): see read_watermark.
-#}
{% macro capture_replaced_files(window, dependency, watermark) %}
    {%- if dependency.pattern is none -%} {{ return("") }} {%- endif -%}
    {%- set is_whole = watermark is none or not sluice.has_files_read(dependency.source) -%}
    {%- do window.update({"records": dependency.pattern, "is_whole": is_whole, "limit": none}) -%}
    {%- set unread = sluice.unread_files(dependency.source, window) -%}
    {%- set gone = sluice.gone_files(dependency, window) -%}
    {%- do window.update({"new": is_whole or unread.file_count + gone.file_count > 0}) -%}
    {%- if gone.file_count -%} {%- do window.update({"notes_gone": true}) -%} {%- endif -%}
    {%- if not is_whole -%}
        {%- set paths = unread.paths or sluice.paths_of(dependency.pattern, 1) -%}
        {%- do window.update(
            {
                "reads_nothing": unread.file_count == 0,
                "files": sluice.files_relation(dependency.relation, paths),
            }
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- The column that names the file of each row, where a load replaces the rows of files: an append without a business key, over
    a lake source without an incremental key; none for any other target. -#}
{% macro file_identity() %}
    {%- set is_append = config.get("materialized") == "append" and not sluice.list_setting("business_key") -%}
    {%- set driving = sluice.setting("dependencies", []) | selectattr("driving") | list -%}
    {%- if is_append and driving | length == 1 and not driving[0].get("incremental_key") -%}
        {{ return(driving[0].get("file_column")) }}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}


{#- The names of the files whose rows a load replaces, as a subselect. -#}
{% macro replaced_files_sql(window) -%}
    (
        select name
        from ({{ sluice.unread_files_sql(window.source, window) }}) as unread
        union all
        select name
        from ({{ sluice.gone_files_sql(window.source, window) }}) as gone
    )
{%- endmacro %}


{#- The files that are gone and whose rows are to be removed: dict(file_count, key_from: least key that they held). -#}
{% macro gone_files(dependency, window) %}
    {%- if not dependency.removes_files -%} {{ return({"file_count": 0, "key_from": none}) }} {%- endif -%}
    {%- call statement("sluice_gone_files", fetch_result=true, auto_begin=false) -%}
        select count(*) as file_count, 'is ' || {{ sluice.least_noted_sql(window.kind) }} as key_from
        from ({{ sluice.gone_files_sql(dependency.source, window) }}) as gone
    {%- endcall -%}
    {%- set row = load_result("sluice_gone_files").table.rows[0] -%}
    {{
        return(
            {
                "file_count": row[0] | int,
                "key_from": row[1][3:] if row[1] is not none else none,
            }
        )
    }}
{% endmacro %}


{#- Stop when a row names another file than those that the load reads: a later load could not replace it. -#}
{% macro check_files(load) %}
    {%- if sluice.file_identity() is not none and load.windows[0].records -%}
        {%- call statement("sluice_foreign_files", fetch_result=true, auto_begin=false) -%}
            select count(*) as row_count, min({{ load.range_key }}) as example
            from {{ load.stage }}
            where {{ load.range_key }} not in {{ sluice.replaced_files_sql(load.windows[0]) }}
        {%- endcall -%}
        {%- set found = load_result("sluice_foreign_files").table.rows[0] -%}
        {%- if found[0] -%}
            {%- do sluice.raise_error(
                load.type,
                "the SELECT of "
                ~ load.target_name
                ~ " yields "
                ~ found[0]
                ~ " rows of files that it does not read, e.g. "
                ~ found[1]
                ~ ".",
                "Yield " ~ load.range_key ~ " as the source has it.",
            ) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
