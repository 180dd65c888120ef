{#- Cast a value to a column's type. A value that cannot be cast yields NULL, so that its row goes to the rejects.

    Args:
        expression (str): the value.
        type (str): the type to cast to.
        raw_type (str): the type of the value.
    Returns: str, an SQL expression. PostgreSQL needs prepare_casts first.
-#}
{% macro cast_value(expression, type, raw_type) %}
    {%- if raw_type == type -%} {{ return(expression) }}
    {%- elif sluice.cast_may_cut(raw_type, type) -%}
        {{
            return(
                "case when "
                ~ adapter.dispatch("text_size", "sluice")(expression)
                ~ " <= "
                ~ sluice.type_parts(type)[1][0]
                ~ " then cast("
                ~ expression
                ~ " as "
                ~ type
                ~ ") end"
            )
        }}
    {%- elif not sluice.cast_may_fail(raw_type, type) -%}
        {{ return("cast(" ~ expression ~ " as " ~ type ~ ")") }}
    {%- endif -%}
    {{ return(adapter.dispatch("cast_value", "sluice")(expression, type, raw_type)) }}
{% endmacro %}

{% macro default__cast_value(expression, type, raw_type) %}
    {{ return("try_cast(" ~ expression ~ " as " ~ type ~ ")") }}
{% endmacro %}

{#- PostgreSQL 15 has no TRY_CAST. A value that matches castable_pattern is cast directly. Only other values go
    through a function that catches the error, which costs a subtransaction per value. -#}
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

{#- Redshift's TRY_CAST does not accept blank text, supports only some pairs of types, and does not cast text to a
    boolean.

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


{% macro is_text(type) %}
    {{
        return(
            sluice.type_parts(type)[0]
            in ("varchar", "character varying", "text", "char", "character", "bpchar", "nvarchar", "name")
        )
    }}
{% endmacro %}


{#- Whether a cast may cut text off: without an error, and two keys may become one. -#}
{% macro cast_may_cut(raw_type, type) %}
    {%- set sizes, raw_sizes = sluice.type_parts(type)[1], sluice.type_parts(raw_type)[1] -%}
    {{
        return(
            sluice.is_text(type)
            and sizes | length == 1
            and sluice.is_text(raw_type)
            and not (raw_sizes and raw_sizes[0] <= sizes[0])
        )
    }}
{% endmacro %}


{#- The size of a text as the warehouse counts it for varchar(n): characters, and bytes on Redshift. Blanks at the end
    count on PostgreSQL, except those that char(n) adds; on Redshift they are not loaded. -#}
{% macro default__text_size(expression) %} {{ return("length(" ~ expression ~ ")") }} {% endmacro %}

{% macro redshift__text_size(expression) %}
    {{ return("octet_length(rtrim(" ~ expression ~ "))") }}
{% endmacro %}


{#- Whether a cast may fail at a value. A cast to text or to a wider type never fails. -#}
{% macro cast_may_fail(raw_type, type) %}
    {{ return(not (sluice.is_text(type) or sluice.is_widening(raw_type, type))) }}
{% endmacro %}


{% macro cast_function(raw_type, type) %}
    {{ return("sluice_cast_" ~ local_md5(raw_type ~ " as " ~ type)[:12]) }}
{% endmacro %}


{#- A regular expression of text that can always be cast to a type; none when there is no such expression. -#}
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


{#- Create the functions that cast_value calls, for the columns that a load casts.

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

{#- The function belongs to this session: it needs no privilege, and concurrent loads do not share it. -#}
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
