{#- No part of the business key is NULL.

    Args:
        model (Relation): any table.
        business_key (list of str): its key columns.
    Returns: a SELECT of the rows with a NULL in the key.
-#}
{% test key_not_null(model, business_key) %}

    select *
    from {{ sluice.tested_rows(model) }}
    where
        {% for column in sluice.quoted(business_key) -%}
            {{ 'or ' if not loop.first }}{{ column }} is null
        {% endfor %}
{% endtest %}
