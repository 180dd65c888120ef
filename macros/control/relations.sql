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
    {{ return(sluice.companion_relations(target_name, [part])[0]) }}
{% endmacro %}


{% macro companion_relations(target_name, parts) %}
    {%- set own = sluice.control_relation("load_log") -%}
    {%- set relations = [] -%}
    {%- for part in parts -%}
        {%- set base = target_name | replace(".", "__") -%}
        {%- set suffix = "__" ~ part -%}
        {%- if base | length + suffix | length > 63 -%}
            {%- set base = base[: 63 - suffix | length - 9] ~ "_" ~ local_md5(base)[:8] -%}
        {%- endif -%}
        {%- do relations.append(own.incorporate(path={"identifier": base ~ suffix})) -%}
    {%- endfor -%}
    {{ return(relations) }}
{% endmacro %}


{#- Whether a relation exists in the warehouse now. dbt's cache does not know relations that another model of this run
    created. -#}
{% macro is_there(relation) %}
    {{ return(relation.identifier in sluice.read_catalog([relation]).tables) }}
{% endmacro %}


{#- What the catalog says now, by one statement.

    Args:
        relations (list of Relation): tables and views of one schema.
        dependencies (list of dict): see driving_dependencies.
    Returns: dict(tables: names of those that exist; key_types: source to the type of its incremental key, unless it is a
        listed lake source, or one that the catalog does not know).
-#}
{% macro read_catalog(relations, dependencies=[]) %}
    {%- set queries = [sluice.standing_sql(relations)] -%}
    {%- for dependency in dependencies if dependency.key_name and dependency.pattern is none -%}
        {%- do queries.append(adapter.dispatch("key_type_sql", "sluice")(dependency)) -%}
    {%- endfor -%}
    {%- call statement("sluice_catalog", fetch_result=true, auto_begin=false) -%}
        {{ queries | join("\nunion all\n") }}
    {%- endcall -%}
    {%- set found = {"tables": [], "key_types": {}} -%}
    {%- for row in load_result("sluice_catalog").table.rows -%}
        {%- if row[1] is none -%} {%- do found.tables.append(row[0]) -%}
        {%- else -%} {%- do found.key_types.update({row[0]: sluice.type_texts([row[1]])[0]}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}


{% macro standing_sql(relations) -%}
    select cast(table_name as varchar(128)) as name, cast(null as varchar(128)) as key_type
    from information_schema.tables
    where
        table_schema = {{ sluice.literal(relations[0].schema) }}
        and table_name in ({{ sluice.literals(relations | map(attribute="identifier")) | join(", ") }})
        {%- if relations[0].database %}
            and lower(table_catalog) = lower({{ sluice.literal(relations[0].database) }})
        {%- endif %}
{%- endmacro %}


{% macro default__key_type_sql(dependency) -%}
    select cast({{ sluice.literal(dependency.source) }} as varchar(128)), cast(data_type as varchar(128))
    from information_schema.columns
    where
        table_schema = {{ sluice.literal(dependency.table.schema) }}
        and table_name = {{ sluice.literal(dependency.table.identifier) }}
        and column_name = {{ sluice.literal(dependency.key_name) }}
{%- endmacro %}

{#- DuckDB's catalog lists all columns of all tables for each question. -#}
{% macro duckdb__key_type_sql(dependency) -%}
    select {{ sluice.literal(dependency.source) }}, column_type
    from (describe select {{ dependency.key }} from {{ dependency.relation }})
{%- endmacro %}
