{#- Drop a target with its companions, and close its rows of the load log, in one transaction. An operation:
    flows/lifecycle/retire.py runs it.

    The rows of the load log stay as history. Without epoch and watermark they count for no later target of this name.

    Args:
        target_name (str): the target, `schema.table`.
        parts (list of str): what stands of it in the warehouse: target, side, rejects, head.
        is_view (bool): whether the target is a materialized view.
        has_log (bool): whether there is a load log.
-#}
{% macro retire_target(target_name, parts, is_view, has_log) %}
    {%- set statements = [] -%}
    {%- for part in parts -%}
        {%- set kind = "materialized view" if is_view and part == "target" else "table" -%}
        {%- do statements.append("drop " ~ kind ~ " " ~ sluice.part_of_target(target_name, part)) -%}
    {%- endfor -%}
    {%- if has_log -%}
        {%- do statements.append(
            "update "
            ~ sluice.control_relation("load_log")
            ~ " set moves_watermark = false, epoch = null where target = "
            ~ sluice.literal(target_name)
        ) -%}
        {%- set files = sluice.control_relation("lake_files") -%}
        {%- if adapter.type() in ("duckdb", "redshift") and sluice.is_there(files) -%}
            {%- do statements.append(
                "delete from " ~ files ~ " where target = " ~ sluice.literal(target_name)
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {%- if statements -%}
        {#- BEGIN happens here -#}
        {%- call statement("sluice_retire") -%} {{ statements | join(";\n") }} {%- endcall -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{% endmacro %}


{#- Redshift: write the tables of a target to S3 as Parquet (UNLOAD in its SQL reference). Read there; run on no
    cluster so far.

    Args:
        target_name (str): the target, `schema.table`.
        parts (list of str): what is written.
        folder (str): s3://bucket/folder/, which holds nothing yet.
-#}
{% macro unload_target(target_name, parts, folder) %}
    {%- set role = env_var("SLUICE_REDSHIFT_COPY_ROLE", "") -%}
    {%- for part in parts -%}
        {%- call statement("sluice_unload", auto_begin=false) -%}
            unload ('select * from {{ sluice.part_of_target(target_name, part) }}')
            to '{{ folder }}{{ part }}_'
            iam_role {{ sluice.literal(role) if role else "default" }}
            format as parquet
        {%- endcall -%}
    {%- endfor -%}
{% endmacro %}
