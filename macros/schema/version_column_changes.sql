{#- The changes that a full refresh or a rebuild makes to the version columns when the load type or the type of the
    event time has changed.

    Returns: list of str, actions of ALTER TABLE. They run in the transaction of the load, so a failed load leaves the
        table unchanged.
-#}
{% macro version_column_changes(load) %}
    {%- set changes = [] -%}
    {%- set wanted = load.types[load.at] if load.type == "scd2" else none -%}
    {%- set stored = namespace(type=none) -%}
    {%- if sluice.was_history(load) -%}
        {%- for column in sluice.describe_relation(load.relation) if column.name == 'valid_from' -%}
            {%- set stored.type = column.type -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if stored.type is not none and stored.type != wanted -%}
        {%- do changes.extend(
            ["drop column valid_from", "drop column valid_to", "drop column is_current"]
        ) -%}
    {%- endif -%}
    {%- if wanted is not none and stored.type != wanted -%}
        {%- do changes.extend(
            [
                "add column valid_from " ~ wanted,
                "add column valid_to " ~ wanted,
                "add column is_current boolean",
            ]
        ) -%}
    {%- endif -%}
    {{ return(changes) }}
{% endmacro %}
