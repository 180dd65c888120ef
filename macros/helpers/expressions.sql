{#- A value as an SQL string literal, NULL for none. -#}
{% macro literal(value) %} {{ return(adapter.dispatch("literal", "sluice")(value)) }} {% endmacro %}

{% macro default__literal(value) %}
    {{ return("null" if value is none else "'" ~ (value | string | replace("'", "''")) ~ "'") }}
{% endmacro %}

{#- A backslash escapes what follows it, as QUOTE_LITERAL in the SQL reference shows. -#}
{% macro redshift__literal(value) %}
    {{ return(sluice.default__literal(value if value is none else value | string | replace("\\", "\\\\"))) }}
{% endmacro %}


{#- Equality of never-NULL columns of two relations, joined by AND. -#}
{% macro matches(names, left, right) %}
    {%- set terms = [] -%}
    {%- for name in names -%}
        {%- do terms.append(left ~ "." ~ name ~ " = " ~ right ~ "." ~ name) -%}
    {%- endfor -%}
    {{ return(terms | join(" and ")) }}
{% endmacro %}


{#- Equality in which NULL equals NULL. It may yield NULL instead of false: use it in a join or in CASE WHEN,
    never under NOT. -#}
{% macro null_safe_equal(left, right) %}
    {{ return(adapter.dispatch("null_safe_equal", "sluice")(left, right)) }}
{% endmacro %}

{% macro default__null_safe_equal(left, right) %}
    {{ return("(" ~ left ~ " = " ~ right ~ " or (" ~ left ~ " is null and " ~ right ~ " is null))") }}
{% endmacro %}

{#- DuckDB joins by hash on IS NOT DISTINCT FROM, and by nested loops on OR. -#}
{% macro duckdb__null_safe_equal(left, right) %}
    {{ return(left ~ " is not distinct from " ~ right) }}
{% endmacro %}


{#- True where all columns are equal, NULL = NULL. Names of the right side may carry a prefix instead of an alias. -#}
{% macro same(names, left, right, prefix="") %}
    {%- set terms = [] -%}
    {%- for name in names -%}
        {%- set other = sluice.prefixed(prefix, name) -%}
        {%- do terms.append(
            sluice.null_safe_equal(
                left ~ "." ~ name if left else name, right ~ "." ~ other if right else other
            )
        ) -%}
    {%- endfor -%}
    {{ return(terms | join("\n" ~ " " * 20 ~ "and ") if terms else "1 = 1") }}
{% endmacro %}


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
