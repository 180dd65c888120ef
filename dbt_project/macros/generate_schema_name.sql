{#- Schema of a model or of Sluice's own tables, as the warehouse knows it.

    Environments that share a warehouse must not share a table or a watermark: every environment but prod puts its name
    before each schema. On DuckDB each environment has a file of its own, so names stay as they are.

    Args:
        custom_schema_name (str or none): the schema a model asks for; the target's by default.
        node (dict or none): unused, part of dbt's signature.
    Returns: str.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set environment = env_var('SLUICE_ENVIRONMENT', target.name) -%}
    {%- set schema_name = (custom_schema_name or target.schema) | trim -%}
    {%- if target.type == 'duckdb' or environment == 'prod' -%}
        {{ schema_name }}
    {%- else -%}
        {{ environment }}_{{ schema_name }}
    {%- endif -%}
{%- endmacro %}
