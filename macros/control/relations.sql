{#- A table of Sluice's own schema, by name. -#}
{% macro control_relation(identifier) %}
    {{ return(api.Relation.create(
        database=target.database, schema=generate_schema_name('sluice', none) | trim, identifier=identifier, type='table'
    )) }}
{% endmacro %}


{#- Sluice's own table beside a target: `<schema>__<table>__<part>`, shortened with a hash beyond 63 characters.

    Args:
        target_name (str): the target as rows and logs name it, `schema.table`.
        part (str): head, side or rejects.
    Returns: Relation.
-#}
{% macro companion_relation(target_name, part) %}
    {%- set base = target_name | replace('.', '__') -%}
    {%- set suffix = '__' ~ part -%}
    {%- if base | length + suffix | length > 63 -%}
        {%- set base = base[:63 - suffix | length - 9] ~ '_' ~ local_md5(base)[:8] -%}
    {%- endif -%}
    {{ return(sluice.control_relation(base ~ suffix)) }}
{% endmacro %}


{#- Whether a relation stands in the warehouse. -#}
{% macro is_there(relation) %}
    {{ return(adapter.get_relation(relation.database, relation.schema, relation.identifier) is not none) }}
{% endmacro %}
