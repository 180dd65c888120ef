{#- Schema of a model or of Sluice's own tables, as the warehouse knows it.

    Args:
        custom_schema_name (str or none): the schema a model asks for; the target's by default.
        node (dict or none): unused, part of dbt's signature.
    Returns: str.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ sluice.environment_schema(custom_schema_name) }}
{%- endmacro %}
