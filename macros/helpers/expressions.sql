{#- Values as SQL string literals, NULL for none: list of str. On Redshift a backslash escapes the next character; see
    QUOTE_LITERAL in its SQL reference. -#}
{% macro literals(values) %}
    {%- set listed = [] -%}
    {%- for value in values -%}
        {%- set text = value | string | replace("'", "''") -%}
        {%- set text = text | replace("\\", "\\\\") if target.type == "redshift" else text -%}
        {%- do listed.append("null" if value is none else "'" ~ text ~ "'") -%}
    {%- endfor -%}
    {{ return(listed) }}
{% endmacro %}


{#- One value as a literal, as literals writes it. -#}
{% macro literal(value) %}
    {%- if value is none or target.type == "redshift" -%}
        {{ return(sluice.literals([value])[0]) }}
    {%- endif -%}
    {{ return("'" ~ (value | string | replace("'", "''")) ~ "'") }}
{% endmacro %}


{#- Equality of NOT NULL columns of two relations, joined by AND. -#}
{% macro matches(names, left, right) %}
    {%- set terms = [] -%}
    {%- for name in names -%}
        {%- do terms.append(left ~ "." ~ name ~ " = " ~ right ~ "." ~ name) -%}
    {%- endfor -%}
    {{ return(terms | join(" and ")) }}
{% endmacro %}


{#- Equality in which NULL equals NULL, of each pair of expressions: list of str. A term may yield NULL instead of
    false: use it in a join or in CASE WHEN, never under NOT. -#}
{% macro null_safe_equal(pairs) %}
    {{ return(adapter.dispatch("null_safe_equal", "sluice")(pairs)) }}
{% endmacro %}

{% macro default__null_safe_equal(pairs) %}
    {%- set terms = [] -%}
    {%- for left, right in pairs -%}
        {%- do terms.append(
            "(" ~ left ~ " = " ~ right ~ " or (" ~ left ~ " is null and " ~ right ~ " is null))"
        ) -%}
    {%- endfor -%}
    {{ return(terms) }}
{% endmacro %}

{#- DuckDB joins by hash on IS NOT DISTINCT FROM, and by nested loops on OR. -#}
{% macro duckdb__null_safe_equal(pairs) %}
    {%- set terms = [] -%}
    {%- for left, right in pairs -%}
        {%- do terms.append(left ~ " is not distinct from " ~ right) -%}
    {%- endfor -%}
    {{ return(terms) }}
{% endmacro %}


{#- True where all columns are equal, and NULL equals NULL. Names of the right side may have a prefix instead of an
    alias. -#}
{% macro same(names, left, right, prefix="") %}
    {%- set others = sluice.prefixed(prefix, names) if prefix else names -%}
    {%- set pairs = [] -%}
    {%- for name in names -%}
        {%- set other = others[loop.index0] -%}
        {%- do pairs.append(
            (left ~ "." ~ name if left else name, right ~ "." ~ other if right else other)
        ) -%}
    {%- endfor -%}
    {{ return(sluice.null_safe_equal(pairs) | join("\n" ~ " " * 20 ~ "and ") if pairs else "1 = 1") }}
{% endmacro %}


{#- A column's value as text of at most `size` bytes.

    Args:
        name (str): the column.
        type (str): its type, as the warehouse names it.
        size (int): bytes; longer text is cut off, except on DuckDB.
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
