{#- Delete the rows of a table that match a staged row.

    Args:
        relation (Relation): the table.
        names (list of str): columns to match by; none of them is NULL.
        staged (str): temporary table.
        condition (str or none): another condition on the staged row.
-#}
{% macro delete_sql(relation, names, staged, condition=none) -%}
    delete from {{ relation }}
    using {{ staged }}
    where
        {{ sluice.matches(names, relation.include(database=false, schema=false), staged) }}
        {{ "and " ~ staged ~ "." ~ condition if condition else "" }}
{%- endmacro %}
