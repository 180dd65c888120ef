{#- The statements that note the files which a load has read: list of str. Part of its transaction. -#}
{% macro note_files_sql(load) %}
    {%- set statements = [] -%}
    {%- set log = sluice.control_relation("lake_files") -%}
    {%- for window in load.windows + load.lookups if window.records -%}
        {%- if (load.is_first or load.is_full_refresh) and not statements -%}
            {%- do statements.append(
                "delete from " ~ log ~ " where target = " ~ sluice.literal(load.target_name)
            ) -%}
        {%- endif -%}
        {%- do statements.append(sluice.insert_files_sql(load, window, log)) -%}
        {%- if window.notes_gone -%}
            {%- do statements.append(sluice.insert_gone_sql(load, window, log)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(statements) }}
{% endmacro %}


{% macro insert_files_sql(load, window, log) -%}
    {%- set texts = sluice.literals([load.target_name, window.source, load.load_id]) -%}
    insert into {{ log }} (target, source, load_id, name, version, loaded_at, key_from, future_from)
    select
    {{ texts | join(", ") }}, unread.name, unread.version, cast('{{ load.loaded_at }}' as timestamp),
    {{ "keys.key_from, keys.future_from" if window.file_keys else "null, null" }}
    from ({{ sluice.unread_files_sql(window.source, window) }}) as unread
    {%- if window.file_keys %}
    left join {{ window.file_keys }} as keys on unread.path = keys.sluice_path
    {%- endif %}
{%- endmacro %}


{#- A file that is gone is noted without a version: its rows are removed. -#}
{% macro insert_gone_sql(load, window, log) -%}
    {%- set texts = sluice.literals([load.target_name, window.source, load.load_id]) -%}
    insert into {{ log }} (target, source, load_id, name, version, loaded_at)
    select {{ texts | join(", ") }}, gone.name, '', cast('{{ load.loaded_at }}' as timestamp)
    from ({{ sluice.gone_files_sql(window.source, window) }}) as gone
{%- endmacro %}
