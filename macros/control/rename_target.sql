{#- Rename a target with its companions, its rows of the load log, and what its readers have read of it, in one
    transaction. An operation: flows/lifecycle/rename.py runs it after it checked that the new names are free.

    Args:
        old (str): the target, `schema.table`.
        new (str): its new name.
        parts (list of str): what stands of it in the warehouse: target, side, rejects, head.
        is_view (bool): whether the target is a materialized view.
        has_log (bool): whether there is a load log.
        definitions (dict): reader to [the definition in its head, the same of its rewritten SELECT].
-#}
{% macro rename_target(old, new, parts, is_view, has_log, definitions) %}
    {%- set statements = [] -%}
    {%- for part in parts -%}
        {%- set before = sluice.part_of_target(old, part) -%}
        {%- set after = sluice.part_of_target(new, part) -%}
        {%- if before.schema != after.schema -%} {%- do adapter.create_schema(after) -%} {%- endif -%}
        {%- do statements.extend(
            sluice.rename_table_sql(
                before, after, "materialized view" if is_view and part == "target" else "table"
            )
        ) -%}
    {%- endfor -%}
    {%- if has_log -%}
        {%- set log = sluice.control_relation("load_log") -%}
        {%- set old_text, new_text = sluice.literals([old, new]) -%}
        {%- for name in ("target", "source") -%}
            {%- do statements.append(
                "update "
                ~ log
                ~ " set "
                ~ name
                ~ " = "
                ~ new_text
                ~ " where "
                ~ name
                ~ " = "
                ~ old_text
            ) -%}
        {%- endfor -%}
        {%- set files = sluice.control_relation("lake_files") -%}
        {%- if adapter.type() in ("duckdb", "redshift") and sluice.is_there(files) -%}
            {%- do statements.append(
                "update " ~ files ~ " set target = " ~ new_text ~ " where target = " ~ old_text
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {%- for reader, pair in definitions.items() -%}
        {%- set before_text, after_text = sluice.literals(pair) -%}
        {%- do statements.append(
            "update "
            ~ sluice.companion_relation(new if reader == old else reader, "head")
            ~ " set definition = "
            ~ after_text
            ~ " where definition = "
            ~ before_text
        ) -%}
    {%- endfor -%}
    {%- if statements -%}
        {#- BEGIN happens here -#}
        {%- call statement("sluice_rename") -%} {{ statements | join(";\n") }} {%- endcall -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{% endmacro %}


{#- A target or one of its companions: Relation. -#}
{% macro part_of_target(target_name, part) %}
    {%- if part != "target" -%} {{ return(sluice.companion_relation(target_name, part)) }} {%- endif -%}
    {%- set names = target_name.partition(".") -%}
    {{
        return(
            api.Relation.create(
                database=target.database,
                schema=generate_schema_name(names[0], none) | trim,
                identifier=names[2],
            )
        )
    }}
{% endmacro %}
