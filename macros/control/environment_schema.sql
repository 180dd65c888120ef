{#- Name of a schema in the warehouse: environments that share a server share neither a table nor a watermark.

    Every environment but prod puts its name before each schema. On DuckDB each environment has a file of its own, so
    names stay as they are. A project's `generate_schema_name` calls it.

    Args:
        schema (str or none): the schema as rows or models name it; none: the target's.
    Returns: str.
-#}
{% macro environment_schema(schema) -%}
    {%- set environment = env_var("SLUICE_ENVIRONMENT", target.name) -%}
    {%- set schema_name = (schema or target.schema) | trim -%}
    {%- if target.type == "duckdb" or environment == "prod" -%} {{ schema_name }}
    {%- else -%} {{ environment }}_{{ schema_name }}
    {%- endif -%}
{%- endmacro %}


{#- Tell whether Sluice names the schema of a node: its own tables (no node) and the models that `sluice sync` wrote.

    A project with models of its own asks this in its `generate_schema_name`.

    Args:
        node (dict or none): the node, as dbt passes it.
    Returns: bool.
-#}
{% macro owns(node) %} {%- do return(node is none or node.fqn[1:2] == ["generated"]) -%} {% endmacro %}
