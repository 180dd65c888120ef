{#- Sluice names the schemas of its own models, in models/generated/; dbt's rule holds for all others, as before.
    Without Sluice's macros (a fresh clone before `sluice sync`) there are no such models. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if sluice is defined and sluice.owns(node) -%} {{ sluice.environment_schema(custom_schema_name) }}
    {%- else -%} {{ default__generate_schema_name(custom_schema_name, node) }}
    {%- endif -%}
{%- endmacro %}
