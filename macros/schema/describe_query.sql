{#- Names and types of the columns that a SELECT yields, with the type names that the warehouse uses for tables.

    Args:
        query_sql (str): the SELECT.
        name (str): name of the temporary table that some adapters need.
    Returns: list of dict(name: quoted where needed, type).
-#}
{% macro describe_query(query_sql, name="sluice_shape") %}
    {{ return(sluice.describe_all(query_sql, [], name)[0]) }}
{% endmacro %}


{#- The columns of a table in the warehouse, in the shape of describe_query. -#}
{% macro describe_relation(relation) %} {{ return(sluice.describe_tables([relation])[0]) }} {% endmacro %}


{#- The columns that a SELECT yields and those of tables, with few statements.

    Args:
        query_sql (str): the SELECT.
        relations (list of Relation): tables that exist.
        name (str): name of the temporary table that some adapters need.
        is_free (bool): no temporary table has that name.
    Returns: list, for the SELECT and for each table its columns in the shape of describe_query.
-#}
{% macro describe_all(query_sql, relations, name="sluice_shape", is_free=false) %}
    {{ return(adapter.dispatch("describe_all", "sluice")(query_sql, relations, name, is_free)) }}
{% endmacro %}

{% macro default__describe_all(query_sql, relations, name, is_free) %}
    {%- call statement("sluice_shape", auto_begin=false) -%}
        {%- if not is_free %}
            drop table if exists {{ name }};
        {%- endif %}
        create temporary table {{ name }} as
        select * from (
        {{ query_sql }}
        ) as sluice_query
        where 1 = 0
    {%- endcall -%}
    {{ return(sluice.describe_tables([api.Relation.create(identifier=name)] + relations)) }}
{% endmacro %}

{#- The catalog shows the temporary tables of all sessions: a session, which is one thread's of one invocation, uses a name of
    its own. -#}
{% macro redshift__describe_all(query_sql, relations, name, is_free) %}
    {{ return(sluice.default__describe_all(query_sql, relations, sluice.shape_name(name), is_free)) }}
{% endmacro %}

{% macro shape_name(name="sluice_shape") %}
    {{ return(name ~ "_" ~ local_md5(invocation_id ~ thread_id)[:12]) }}
{% endmacro %}

{% macro duckdb__describe_all(query_sql, relations, name, is_free) %}
    {{ return(sluice.describe_tables([query_sql] + relations)) }}
{% endmacro %}


{#- Names and types of the columns of tables in the warehouse, by one statement.

    Args:
        relations (list of Relation): tables that exist; on DuckDB also SELECTs.
    Returns: list, for each of them its columns in the shape of describe_query.
-#}
{% macro describe_tables(relations) %}
    {%- call statement("sluice_columns", fetch_result=true, auto_begin=false) -%}
        {{ adapter.dispatch("columns_of_tables_sql", "sluice")(relations) }}
    {%- endcall -%}
    {%- set names, types = {}, {} -%}
    {%- for row in load_result("sluice_columns").table.rows -%}
        {%- do names.setdefault(row[0] | int, []).append(row[1]) -%}
        {%- do types.setdefault(row[0] | int, []).append(row[2]) -%}
    {%- endfor -%}
    {%- set described = [] -%}
    {%- for _ in relations -%}
        {%- do described.append(sluice.described(names.get(loop.index0, []), types.get(loop.index0, []))) -%}
    {%- endfor -%}
    {{ return(described) }}
{% endmacro %}

{#- DuckDB's catalog spells some types differently from DESCRIBE. A SELECT stands on lines of its own: it may end in a
    comment. -#}
{% macro duckdb__columns_of_tables_sql(relations) -%}
    {%- for relation in relations %}
        select {{ loop.index0 }} as part, column_name, column_type
        from
            (
                describe
        {{ relation if relation is string else "select * from " ~ relation }}
            )
        {{ "union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- information_schema does not show the sizes of char and bit, nor the names of arrays and enums. A domain counts as its base
    type, because its constraints would stop staged rows. -#}
{% macro postgres__columns_of_tables_sql(relations) -%}
    {%- set parts = [] -%}
    {%- for relation in relations -%}
        {%- set schema = sluice.quote_name(relation.schema) if relation.schema else "pg_temp" -%}
        {%- set name = sluice.literal(schema ~ "." ~ sluice.quote_name(relation.identifier)) -%}
        {%- do parts.append("(" ~ loop.index0 ~ ", cast(" ~ name ~ " as regclass))") -%}
    {%- endfor -%}
    select
        tables.part,
        field.attname as column_name,
        case
            when kind.typtype = 'd'
            then format_type(kind.typbasetype, kind.typtypmod)
            else format_type(field.atttypid, field.atttypmod)
        end as column_type
    from (values {{ parts | join(", ") }}) as tables (part, oid)
    join pg_catalog.pg_attribute as field on field.attrelid = tables.oid
    join pg_catalog.pg_type as kind on kind.oid = field.atttypid
    where field.attnum > 0 and not field.attisdropped
    order by tables.part, field.attnum
{%- endmacro %}

{#- Columns that were dropped may show as `….pg.dropped.N….`; dbt's adapter leaves them out, too. -#}
{% macro redshift__columns_of_tables_sql(relations) -%}
    {%- for relation in relations %}
        select
        {{ loop.index0 }} as part,
            cast(column_name as varchar(256)) as column_name,
            cast(
                case
                    when character_maximum_length is not null
                    then
                        case data_type when 'character' then 'character(' else 'character varying(' end
                        || character_maximum_length
                        || ')'
                    when data_type = 'numeric'
                    then 'numeric(' || numeric_precision || ',' || numeric_scale || ')'
                    else data_type
                end as varchar(256)
            ) as column_type,
            ordinal_position
        from information_schema.columns
        where
            table_name = {{ sluice.literal(relation.identifier) }}
        {%- if relation.schema %} and table_schema = {{ sluice.literal(relation.schema) }}
        {%- endif %}
            and column_name not like '%pg.dropped.%'
        {{ "union all" if not loop.last }}
    {%- endfor %}
    order by 1, 4
{%- endmacro %}


{% macro described(names, types) %}
    {%- set texts = sluice.type_texts(types) -%}
    {%- set columns = [] -%}
    {%- for name in sluice.quoted(names) -%}
        {%- do columns.append({"name": name, "type": texts[loop.index0]}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}


{#- Types as Sluice compares them: in lower case, unless their letters belong to names or labels. -#}
{% macro type_texts(types) %}
    {%- if target.type == "postgres" -%} {{ return(types) }} {%- endif -%}
    {%- set texts = [] -%}
    {%- for type in types -%}
        {%- set is_naming = modules.re.search(
            "['\"]|\\b(struct|union|enum)\\b", type, modules.re.IGNORECASE
        ) -%}
        {%- do texts.append(type if is_naming else type | lower) -%}
    {%- endfor -%}
    {{ return(texts) }}
{% endmacro %}


{#- The columns of the model's SELECT: each in the type that the model declares for it, and in the type that the
    SELECT yields.

    Returns: list of dict(name, type, raw_type).
-#}
{% macro selected_columns(load) %}
    {%- set typed = model.columns.values() | selectattr("data_type") | list -%}
    {%- set casts = [] -%}
    {%- for column in typed -%}
        {%- do casts.append("cast(null as " ~ column.data_type ~ ") as _sluice_typed_" ~ loop.index0) -%}
    {%- endfor -%}
    {%- set query_sql = (
        "select sluice_selected.*, " ~ casts
        | join(", ") ~ " from (\n" ~ load.sql ~ "\n) as sluice_selected"
        if casts
        else load.sql
    ) -%}
    {%- set standing = [load.relation, load.side] if load.has_side and not load.makes_target else [] -%}
    {%- set described = sluice.describe_all(query_sql, standing, is_free=load.is_cleared) -%}
    {%- do load.update({"standing_columns": described[1:]}) -%}
    {%- set yielded_count = described[0] | length - typed | length -%}
    {%- set declared = {} -%}
    {%- for name in sluice.quoted(typed | map(attribute="name")) -%}
        {%- do declared.update({name: described[0][yielded_count + loop.index0].type}) -%}
    {%- endfor -%}
    {%- set columns = [] -%}
    {%- for column in described[0][:yielded_count] -%}
        {%- do columns.append(
            {
                "name": column.name,
                "type": declared.get(column.name, column.type),
                "raw_type": column.type,
            }
        ) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}
