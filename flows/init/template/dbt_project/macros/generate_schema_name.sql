{#- prod: the schema's name. Any other environment on a server: with the environment's name before it. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ sluice.environment_schema(custom_schema_name) }}
{%- endmacro %}
