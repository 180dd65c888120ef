{#- The lines of text files that could not be read when these were copied to Parquet; a load stores them as rejects.

    Of a source that is read by files they are those of the files that the load notes; of one that is read as a whole those of
    all its files. A window of keys that is read again has none: the load that read its files first has stored them.

    Args:
        load (dict): the load.
    Returns: dict(row_count, paths: the files that hold the lines, as literals in a row).
-#}
{% macro unreadable_lines(load) %}
    {%- set files = [] -%}
    {%- for pattern, listed in sluice.listed_files().patterns.items() if listed.rejects -%}
        {%- set windows = (
            (load.windows + load.lookups) | selectattr("source", "equalto", listed.rejects) | list
        ) -%}
        {%- if windows and windows[0].records -%}
            {%- do files.append("(" ~ sluice.unread_files_sql(listed.rejects, windows[0]) ~ ")") -%}
            {%- elif (not windows or windows[0].kind is none) and pattern.split("**")[0] | replace(
                "'", "''"
            ) in load.sql -%}
            {%- do files.append(sluice.listing_sql(pattern)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set paths = sluice.reject_files(files) if files else none -%}
    {%- if paths is none -%} {{ return({"row_count": 0, "paths": none}) }} {%- endif -%}
    {%- call statement("sluice_reject_count", fetch_result=true, auto_begin=false) -%}
        select count(*) as row_count from read_parquet([{{ paths }}])
    {%- endcall -%}
    {%- set row_count = load_result("sluice_reject_count").table.rows[0][0] | int -%}
    {{ return({"row_count": row_count, "paths": paths}) }}
{% endmacro %}


{#- The files of unreadable lines that belong to some files, as literals in a row; none when there are none. -#}
{% macro reject_files(files) %}
    {%- call statement("sluice_reject_files", fetch_result=true, auto_begin=false) -%}
        select 'is ' || string_agg(distinct {{ sluice.path_literal_sql() }}, ', ') as paths
        from
            (
                {%- for rows in files %}
                    select rejects as path
                    from {{ rows }} as files
                    where rejects <> '' {{- " union all" if not loop.last }}
                {%- endfor %}
            ) as rejected
    {%- endcall -%}
    {%- set paths = load_result("sluice_reject_files").table.rows[0][0] -%}
    {{ return(paths[3:] if paths is not none else none) }}
{% endmacro %}
