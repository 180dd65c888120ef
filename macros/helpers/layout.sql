{#- Own SQL without the indentation that its macro's file gives it. Never for a user's SQL: a literal may span lines.

    Args:
        text (str): SQL whose first line stands at the margin and whose other lines share an indentation.
    Returns: str.
-#}
{% macro dedent(text) %}
    {%- set lines = (text | trim).split("\n") -%}
    {%- set shared = namespace(width=1000) -%}
    {%- for line in lines[1:] if line | trim -%}
        {%- set shared.width = [shared.width, (line | length) - (line.lstrip() | length)] | min -%}
    {%- endfor -%}
    {%- set kept = [lines[0]] -%}
    {%- for line in lines[1:] if line | trim -%} {%- do kept.append(line[shared.width :]) -%} {%- endfor -%}
    {{ return(kept | join("\n")) }}
{% endmacro %}


{#- A query between parentheses, on lines of its own.

    Args:
        query_sql (str): own SQL.
        width (int): indentation, in the macro's file, of the line on which the parentheses stand.
-#}
{% macro nested(query_sql, width=4) %}
    {%- set lines = sluice.dedent(query_sql) | indent(width + 4, first=true) -%}
    {{ return("(\n" ~ lines ~ "\n" ~ " " * width ~ ")") }}
{% endmacro %}


{#- Queries one below the other, a set operator between them. -#}
{% macro combined(queries, operator) %}
    {%- set texts = [] -%}
    {%- for query_sql in queries -%} {%- do texts.append(sluice.dedent(query_sql)) -%} {%- endfor -%}
    {{ return(texts | join("\n" ~ operator ~ "\n")) }}
{% endmacro %}


{#- Column names in lines of eight.

    Args:
        names (list of str): columns.
        alias (str or none): of their table.
        prefix (str): that the names bear there.
        as_prefix (str or none): that they bear in the result.
-#}
{% macro columns(names, alias=none, prefix="", as_prefix=none) %}
    {%- set listed = [] -%}
    {%- for name in names -%}
        {%- set column = (alias ~ "." if alias else "") ~ sluice.prefixed(prefix, name) -%}
        {%- do listed.append(
            column if as_prefix is none else column ~ " as " ~ sluice.prefixed(as_prefix, name)
        ) -%}
    {%- endfor -%}
    {{ return(sluice.in_lines(listed)) }}
{% endmacro %}


{#- Terms of a list, some to a line. -#}
{% macro in_lines(terms, count=8) %}
    {%- set lines = [] -%}
    {%- for line in terms | batch(count) -%} {%- do lines.append(line | join(", ")) -%} {%- endfor -%}
    {{ return(lines | join(",\n" ~ " " * 16)) }}
{% endmacro %}
