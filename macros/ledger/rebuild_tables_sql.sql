{#- Statements that give target and side table the columns and types of a rebuild, in the transaction of the load:
    list of str.

    The same transaction empties both tables and writes them again, so no value is converted in place.
-#}
{% macro rebuild_tables_sql(load) %}
    {{ return(adapter.dispatch("rebuild_tables_sql", "sluice")(load)) }}
{% endmacro %}

{% macro default__rebuild_tables_sql(load) %}
    {%- set statements = [] -%}
    {%- for relation in (load.side, load.relation) -%}
        {%- do statements.append("delete from " ~ relation) -%}
        {%- for column in load.added -%}
            {%- do statements.append(
                "alter table " ~ relation ~ " add column " ~ column.name ~ " " ~ column.type
            ) -%}
        {%- endfor -%}
        {%- for column in load.retyped -%}
            {%- do statements.append(
                "alter table "
                ~ relation
                ~ " alter column "
                ~ column.name
                ~ " type "
                ~ column.to
                ~ " using cast(null as "
                ~ column.to
                ~ ")"
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for change in sluice.version_column_changes(load) -%}
        {%- do statements.append("alter table " ~ load.relation ~ " " ~ change) -%}
    {%- endfor -%}
    {{ return(statements) }}
{% endmacro %}

{#- Redshift cannot alter a type in a transaction (ALTER TABLE in its SQL reference), but it can rename tables in one.
    Where a type changes, new tables replace the old ones. -#}
{% macro redshift__rebuild_tables_sql(load) %}
    {%- if not load.retyped -%} {{ return(sluice.default__rebuild_tables_sql(load)) }} {%- endif -%}
    {%- set statements = [] -%}
    {%- for relation in (load.side, load.relation) -%}
        {%- set old = relation.incorporate(path={"identifier": relation.identifier[:55] ~ "__before"}) -%}
        {%- set create_sql = (
            sluice.create_side_sql(load)
            if relation == load.side
            else sluice.create_rows_sql(load)
        ) -%}
        {%- do statements.extend(
            [
                "alter table "
                ~ relation
                ~ " rename to "
                ~ old.include(database=false, schema=false),
                create_sql,
                "drop table " ~ old,
            ]
        ) -%}
    {%- endfor -%}
    {{ return(statements) }}
{% endmacro %}
