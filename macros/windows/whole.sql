{#- A relation that a model reads as a whole: a lookup, or a source of a materialized view.

    With --empty, dbt replaces it by a subselect, and on PostgreSQL adds an alias. The SELECT already has an alias,
    and a second one is a syntax error.

        left join {{ sluice.whole(source('lake', 'planes')) }} as planes on …

    Args:
        relation (Relation): a source or ref; the SELECT gives it an alias.
    Returns: Relation, the same.
    Source: https://github.com/dbt-labs/dbt-adapters/blob/main/dbt-adapters/src/dbt/adapters/base/relation.py
-#}
{% macro whole(relation) %} {{ return(relation.replace(require_alias=false)) }} {% endmacro %}
