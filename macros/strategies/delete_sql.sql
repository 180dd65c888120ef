{#- Delete the rows of a table that a staged one names.

    Args:
        relation (Relation): the table.
        names (list of str): columns in which both agree; none of them is NULL.
        staged (str): temporary table.
        condition (str or none): what else holds of the staged row.
-#}
{% macro delete_sql(relation, names, staged, condition=none) -%}
    delete from {{ relation }}
    using {{ staged }}
    where
        {{ sluice.matches(names, relation.include(database=false, schema=false), staged) }}
        {{ "and " ~ staged ~ "." ~ condition if condition else "" }}
{%- endmacro %}
