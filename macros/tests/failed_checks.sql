{#- Say which checks of valid_history failed, for how many rows, with examples of keys; `sluice run` calls it after a failure.

    Args:
        select_sql (str): the compiled SELECT of the test.
    Returns: str, which is logged as well.
-#}
{% macro failed_checks(select_sql) %}
    {%- call statement("sluice_checks", fetch_result=true) -%}
        select *
        from
            (
                select
                    failed_rows.*,
                    row_number() over (partition by failed_checks order by valid_from) as _sluice_number,
                    count(*) over (partition by failed_checks) as _sluice_count
                from ({{ select_sql }}) as failed_rows
            ) as numbered_rows
        where _sluice_number <= 3
    {%- endcall -%}
    {%- set table = load_result("sluice_checks").table -%}
    {%- set checks = {} -%}
    {%- for row in table.rows -%}
        {%- set parts = [] -%}
        {%- for name in table.column_names[1:-4] -%}
            {%- do parts.append(name ~ "=" ~ ("NULL" if row[name] is none else row[name])) -%}
        {%- endfor -%}
        {%- for name in row[0].split() -%}
            {%- set check = checks.setdefault(name, {"count": 0, "keys": []}) -%}
            {%- if row["_sluice_number"] == 1 -%}
                {%- do check.update({"count": check.count + (row["_sluice_count"] | int)}) -%}
            {%- endif -%}
            {%- do check["keys"].append(parts | join(", ")) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set texts = [] -%}
    {%- for name, check in checks.items() -%}
        {%- set keys = (check["keys"] | unique | list)[:3] -%}
        {%- do texts.append(
            name ~ " failed for " ~ check["count"] ~ " row(s), for example " ~ keys | join("; ")
        ) -%}
    {%- endfor -%}
    {%- set message = texts | join(". ") ~ "." -%}
    {%- do log(message, info=true) -%}
    {{ return(message) }}
{% endmacro %}
