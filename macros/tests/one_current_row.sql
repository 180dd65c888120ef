{#- At most one current row per business key.

    Args:
        model (Relation): an SCD2 table.
        business_key (list of str): its key columns.
    Returns: a SELECT of the keys with more than one.
-#}
{% test one_current_row(model, business_key) %}

    select {{ sluice.quoted_columns(business_key) }}, count(*) as current_count
    from {{ model }}
    where is_current
    group by {{ sluice.quoted_columns(business_key) }}
    having count(*) > 1

{% endtest %}


{#- Column names of a test's argument as SQL wants them, comma-separated. -#}
{% macro quoted_columns(names) %} {{ return(sluice.columns(sluice.quoted_list(names))) }} {% endmacro %}

{% macro quoted_list(names) %}
    {%- set quoted = [] -%}
    {%- for name in ([names] if names is string else names) -%}
        {%- do quoted.append(sluice.quote_name(name)) -%}
    {%- endfor -%}
    {{ return(quoted) }}
{% endmacro %}
