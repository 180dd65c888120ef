{#- Refuse a staged column that has a collation under which different texts are equal. Under such a collation 'a' and 'A'
    are one key, and the order of the events would decide which of them stays.

    Raises: with the name of the column.
-#}
{% macro refuse_collation(load) %}
    {%- call statement("sluice_collations", fetch_result=true, auto_begin=false) -%}
        {{ adapter.dispatch("loose_collations_sql", "sluice")() }}
    {%- endcall -%}
    {%- do sluice.raise_error(
        load.type,
        "the SELECT of "
        ~ load.target_name
        ~ " yields text under a collation for which different texts are equal: "
        ~ load_result("sluice_collations").table.rows[0][0]
        ~ ".",
        'Yield it as <column> collate "C".',
    ) -%}
{% endmacro %}


{#- A query of the staged columns with such a collation, as text for a message; none on a warehouse without such
    collations. -#}
{% macro default__loose_collations_sql() %} {{ return(none) }} {% endmacro %}

{% macro postgres__loose_collations_sql() -%}
    select staged.attname || ' collate ' || loose.collname
    from pg_catalog.pg_attribute as staged
    join pg_catalog.pg_collation as loose on staged.attcollation = loose.oid
    where staged.attrelid = cast('sluice_stage' as regclass) and not loose.collisdeterministic
{%- endmacro %}

{% macro redshift__loose_collations_sql() %} {{ return(none) }} {% endmacro %}

{#- DuckDB shows a collation only in the table's CREATE statement. -#}
{% macro duckdb__loose_collations_sql() -%}
    select columns.definition
    from
        (
            select unnest(regexp_extract_all(sql, '("[^"]+"|\w+) VARCHAR COLLATE \w+')) as definition
            from duckdb_tables()
            where temporary and table_name = 'sluice_stage'
        ) as columns
    where not regexp_matches(columns.definition, 'COLLATE (C|POSIX|binary)$', 'i')
{%- endmacro %}
