{#- A relation that a model reads as a whole: a lookup, or whatever a materialized view reads.

    With --empty dbt puts a subselect in its place, and for PostgreSQL an alias of its own behind it. The SELECT has one
    already, and two are a syntax error.

        left join {{ sluice.whole(source('lake', 'planes')) }} as planes on …

    Args:
        relation (Relation): a source or ref; the SELECT gives it an alias.
    Returns: Relation, the same.
    Source: https://github.com/dbt-labs/dbt-adapters/blob/main/dbt-adapters/src/dbt/adapters/base/relation.py
-#}
{% macro whole(relation) %} {{ return(relation.replace(require_alias=false)) }} {% endmacro %}
