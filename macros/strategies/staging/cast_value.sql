{#- Cast a value to a column's type; NULL for a value that does not cast, so that its row goes to the rejects.

    Args:
        expression (str): the value.
        type (str): the type it shall have.
        raw_type (str): the type it has.
    Returns: str, an SQL expression. PostgreSQL needs prepare_casts before it is run.
-#}
{% macro cast_value(expression, type, raw_type) %}
    {%- if raw_type == type -%} {{ return(expression) }}
    {%- elif not sluice.cast_may_fail(raw_type, type) -%}
        {{ return("cast(" ~ expression ~ " as " ~ type ~ ")") }}
    {%- endif -%}
    {{ return(adapter.dispatch("cast_value", "sluice")(expression, type, raw_type)) }}
{% endmacro %}

{% macro default__cast_value(expression, type, raw_type) %}
    {{ return("try_cast(" ~ expression ~ " as " ~ type ~ ")") }}
{% endmacro %}

{#- PostgreSQL 15 has no TRY_CAST. What evidently casts is cast by the server itself; only the rest goes through a
    function that catches the error, which costs a subtransaction per value. -#}
{% macro postgres__cast_value(expression, type, raw_type) %}
    {%- set careful = "pg_temp." ~ sluice.cast_function(raw_type, type) ~ "(" ~ expression ~ ")" -%}
    {%- set pattern = sluice.castable_pattern(type) if sluice.is_text(raw_type) else none -%}
    {%- if pattern is none -%} {{ return(careful) }} {%- endif -%}
    {{
        return(
            "case when "
            ~ expression
            ~ " ~ "
            ~ sluice.literal(pattern)
            ~ " then cast("
            ~ expression
            ~ " as "
            ~ type
            ~ ") else "
            ~ careful
            ~ " end"
        )
    }}
{% endmacro %}

{#- TRY_CAST takes no blank text, only some pairs of types, and no text for a boolean.

    Source: https://docs.aws.amazon.com/redshift/latest/dg/r_TRY_CAST.html, …/r_Boolean_type.html
-#}
{% macro redshift__cast_value(expression, type, raw_type) %}
    {%- if sluice.is_text(raw_type) and type == "boolean" -%}
        {%- set word = "lower(trim(" ~ expression ~ "))" -%}
        {{
            return(
                "case when "
                ~ word
                ~ " in ('t', 'true', 'y', 'yes', '1') then true when "
                ~ word
                ~ " in ('f', 'false', 'n', 'no', '0') then false end"
            )
        }}
    {%- elif sluice.is_text(raw_type) -%}
        {{ return("try_cast(nullif(trim(" ~ expression ~ "), '') as " ~ type ~ ")") }}
        {%- elif "int" in raw_type or "numeric" in raw_type or "double" in raw_type or raw_type == "real" -%}
        {{ return("try_cast(" ~ expression ~ " as " ~ type ~ ")") }}
    {%- endif -%}
    {{ return("cast(" ~ expression ~ " as " ~ type ~ ")") }}
{% endmacro %}


{% macro is_text(type) %} {{ return("char" in type or "text" in type) }} {% endmacro %}


{#- Whether a cast may stop at a value; to text, and to a wider type, none does. -#}
{% macro cast_may_fail(raw_type, type) %}
    {{ return(not (sluice.is_text(type) or sluice.is_widening(raw_type, type))) }}
{% endmacro %}


{% macro cast_function(raw_type, type) %}
    {{ return("sluice_cast_" ~ local_md5(raw_type ~ " as " ~ type)[:12]) }}
{% endmacro %}


{#- Text that surely casts to a type, as a regular expression; none: nothing is sure. -#}
{% macro castable_pattern(type) %}
    {%- set name, sizes = sluice.type_parts(type) -%}
    {%- set digits = {"smallint": 4, "integer": 9, "bigint": 18} -%}
    {%- set day = "(19|20)\\d\\d-(0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])" -%}
    {%- if name in digits -%} {{ return("^[+-]?\\d{1," ~ digits[name] ~ "}$") }}
    {%- elif name == "numeric" and sizes and sizes[0] > sizes[1] > 0 -%}
        {{ return("^[+-]?\\d{1," ~ (sizes[0] - sizes[1]) ~ "}(\\.\\d{1," ~ sizes[1] ~ "})?$") }}
    {%- elif name in ("numeric", "double precision", "real") and not sizes -%}
        {{ return("^[+-]?\\d{1,15}(\\.\\d{1,15})?$") }}
    {%- elif name == "date" -%} {{ return("^" ~ day ~ "$") }}
    {%- elif name == "timestamp without time zone" -%}
        {{ return("^" ~ day ~ "[ T]([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?$") }}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}


{#- Make what cast_value relies on, for the columns that a load casts.

    Args:
        load (dict): the load with its columns resolved.
-#}
{% macro prepare_casts(load) %} {% do adapter.dispatch("prepare_casts", "sluice")(load) %} {% endmacro %}

{% macro default__prepare_casts(load) %} {% endmacro %}

{% macro redshift__prepare_casts(load) %} {% endmacro %}

{% macro postgres__prepare_casts(load) %}
    {%- for cast in load.casts if sluice.cast_may_fail(cast.raw_type, cast.type) -%}
        {%- do sluice.run_step(load, none, sluice.cast_function_sql(cast.raw_type, cast.type)) -%}
    {%- endfor -%}
{% endmacro %}

{#- Of this session only: no right is needed, and no two loads meet. -#}
{% macro cast_function_sql(raw_type, type) -%}
    create or replace function pg_temp.{{ sluice.cast_function(raw_type, type) }} (value {{ raw_type }})
    returns {{ type }}
    language plpgsql
    as $sluice$
    begin
        return cast(value as {{ type }});
    exception when data_exception then
        return null;
    end
    $sluice$
{%- endmacro %}
