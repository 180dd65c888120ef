{#- A column's value as text of at most so many bytes.

    Args:
        name (str): the column.
        type (str): its type, as the warehouse names it.
        size (int): bytes; what is longer is cut off, except on DuckDB.
    Returns: str, an SQL expression.
    Source: https://docs.aws.amazon.com/redshift/latest/dg/r_Boolean_type.html (a boolean does not cast to varchar).
-#}
{% macro as_text(name, type, size) %}
    {{ return(adapter.dispatch("as_text", "sluice")(name, type, size)) }}
{% endmacro %}

{% macro default__as_text(name, type, size) %}
    {{ return("cast(" ~ name ~ " as varchar(" ~ size ~ "))") }}
{% endmacro %}

{% macro redshift__as_text(name, type, size) %}
    {%- if type == "boolean" -%}
        {{ return("case when " ~ name ~ " then 'true' when not " ~ name ~ " then 'false' end") }}
    {%- elif type == "super" -%} {{ return("json_serialize(" ~ name ~ ")") }}
    {%- endif -%}
    {{ return(sluice.default__as_text(name, type, size)) }}
{% endmacro %}
