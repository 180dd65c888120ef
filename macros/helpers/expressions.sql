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


{#- Data columns of events that contest one (key, time), with _sluice_is_stored: what the SELECT no longer
    yields stays as stored. -#}
{% macro kept_columns(load) %}
    {%- set listed = [] -%}
    {%- for name in load.data -%}
        {%- if name in load.yielded -%} {%- do listed.append(name) -%}
        {%- else -%}
            {%- do listed.append(
                "first_value("
                ~ name
                ~ ") over (partition by "
                ~ sluice.columns(load.key + [load.at])
                ~ " order by _sluice_is_stored desc rows between unbounded preceding and current row) as "
                ~ name
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(sluice.in_lines(listed)) }}
{% endmacro %}


{#- ORDER BY that puts the winner first among events of equal key and time: later tie-breakers, an upsert before a
    delete, then the greater content, columns in name order, NULL lowest, text by its bytes. -#}
{% macro winner_order(load) %}
    {%- set terms = [] -%}
    {%- for name in load.tie_breakers -%}
        {%- do terms.append(sluice.greatest_first(load, name)) -%}
    {%- endfor -%}
    {%- do terms.append("_sluice_deleted") -%}
    {%- for name in load.compared | sort(case_sensitive=true) if name not in load.tie_breakers -%}
        {%- do terms.append(sluice.greatest_first(load, name)) -%}
    {%- endfor -%}
    {{ return(terms | join(",\n" ~ " " * 24)) }}
{% endmacro %}


{#- ORDER BY terms of one column: greatest first, NULL last. -#}
{% macro greatest_first(load, name) %}
    {{
        return(
            "case when "
            ~ name
            ~ " is null then 1 else 0 end, "
            ~ sluice.binary_text(name, load.types[name])
            ~ " desc"
        )
    }}
{% endmacro %}


{#- A column in the order of its bytes, whatever the database's collation. -#}
{% macro binary_text(name, type) %}
    {{ return(adapter.dispatch("binary_text", "sluice")(name, type)) }}
{% endmacro %}

{% macro default__binary_text(name, type) %} {{ return(name) }} {% endmacro %}

{% macro postgres__binary_text(name, type) %}
    {{ return(name ~ ' collate "C"' if "char" in type or "text" in type else name) }}
{% endmacro %}

{#- Redshift orders text by its bytes unless the database says otherwise; it knows no COLLATE "C". -#}
{% macro redshift__binary_text(name, type) %} {{ return(name) }} {% endmacro %}
