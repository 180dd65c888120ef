{#- A table of Sluice's own schema, by name. -#}
{% macro control_relation(identifier) %}
    {{
        return(
            api.Relation.create(
                database=target.database,
                schema=generate_schema_name("sluice", none) | trim,
                identifier=identifier,
                type="table",
            )
        )
    }}
{% endmacro %}


{#- Sluice's own table beside a target: `<schema>__<table>__<part>`, shortened with a hash beyond 63 characters.

    Args:
        target_name (str): the target as rows and logs name it, `schema.table`.
        part (str): head, side or rejects.
    Returns: Relation.
-#}
{% macro companion_relation(target_name, part) %}
    {%- set base = target_name | replace(".", "__") -%}
    {%- set suffix = "__" ~ part -%}
    {%- if base | length + suffix | length > 63 -%}
        {%- set base = base[: 63 - suffix | length - 9] ~ "_" ~ local_md5(base)[:8] -%}
    {%- endif -%}
    {{ return(sluice.control_relation(base ~ suffix)) }}
{% endmacro %}


{#- Whether a relation exists in the warehouse now. dbt's cache does not know relations that another model of this run
    created. -#}
{% macro is_there(relation) %}
    {%- set schema, identifier, database = sluice.literals(
        [relation.schema, relation.identifier, relation.database]
    ) -%}
    {%- call statement("sluice_is_there", fetch_result=true, auto_begin=false) -%}
        select count(*) as relation_count
        from information_schema.tables
        where
            table_schema = {{ schema }} and table_name = {{ identifier }}
            {%- if relation.database %} and lower(table_catalog) = lower({{ database }}) {%- endif %}
    {%- endcall -%}
    {{ return(load_result("sluice_is_there").table.rows[0][0] > 0) }}
{% endmacro %}
