{#- What to do when the SELECT's columns differ from the target's: append_new_columns, fail or ignore. dbt itself
    fills in ignore for models that say nothing, so only what somebody wrote counts. -#}
{% macro schema_change_policy() %}
    {%- set policy = (
        (model.unrendered_config or {}).get("on_schema_change")
        or ((config.get("meta") or {}).get("sluice", {})).get("on_schema_change")
        or "append_new_columns"
    ) -%}
    {%- if policy not in ("append_new_columns", "fail", "ignore") -%}
        {%- do sluice.raise_error(
            "on_schema_change",
            "on_schema_change of " ~ sluice.target_name() ~ " is " ~ policy ~ ".",
            "Use append_new_columns, fail or ignore: a column that the SELECT drops always stays, for its history.",
        ) -%}
    {%- endif -%}
    {{ return(policy) }}
{% endmacro %}
