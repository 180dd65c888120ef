{#- A relation that a model reads as a whole: a lookup, or a source of a materialized view.

    With --empty, dbt replaces it by a subselect, and on PostgreSQL adds an alias. The SELECT already has an alias,
    and a second one is a syntax error.

        left join {{ sluice.whole(source('lake', 'planes')) }} as planes on …

    Args:
        relation (Relation): a source or ref; the SELECT gives it an alias.
    Returns: Relation, the same; of a lake source whose files Sluice has listed, these files as text.
    Source: https://github.com/dbt-labs/dbt-adapters/blob/main/dbt-adapters/src/dbt/adapters/base/relation.py
-#}
{% macro whole(relation) %}
    {%- set files = sluice.files_of(relation.render()) -%}
    {%- if execute and sluice.listed_pattern(relation.render()) is not none -%}
        {%- set files = sluice.shown_rows(files, relation.render()) -%}
        {{ return("(select * from " ~ files ~ " where 1 = 0)" if flags.EMPTY else files) }}
    {%- endif -%}
    {{ return(relation.replace(require_alias=false)) }}
{% endmacro %}
