{#- Whether a type holds every value of another type without a change.

    Args:
        narrow (str), wide (str): types as the warehouse describes them.
    Returns: bool. False for real to double, because 0.1 changes.
-#}
{% macro is_widening(narrow, wide) %}
    {%- set integers = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "hugeint": 39} -%}
    {%- set texts = ("varchar", "character varying", "text") -%}
    {%- set narrow_name, narrow_sizes = sluice.type_parts(narrow) -%}
    {%- set wide_name, wide_sizes = sluice.type_parts(wide) -%}
    {%- set is_decimal = wide_name in ("decimal", "numeric") -%}
    {%- if narrow_name in integers and wide_name in integers -%}
        {{ return(integers[narrow_name] < integers[wide_name]) }}
    {%- elif narrow_name in integers and is_decimal -%}
        {{ return(not wide_sizes or wide_sizes[0] - wide_sizes[1] >= integers[narrow_name]) }}
    {%- elif narrow_name in ("decimal", "numeric") and is_decimal and narrow_sizes -%}
        {{
            return(
                not wide_sizes
                or (
                    wide_sizes[1] >= narrow_sizes[1]
                    and wide_sizes[0] - wide_sizes[1] >= narrow_sizes[0] - narrow_sizes[1]
                )
            )
        }}
    {%- elif narrow_name in texts and wide_name in texts and narrow_sizes -%}
        {{ return(not wide_sizes or wide_sizes[0] > narrow_sizes[0]) }}
    {%- endif -%}
    {{ return(narrow_name == "date" and wide_name in ("timestamp", "timestamp without time zone")) }}
{% endmacro %}


{#- 'decimal(10,2)' as ('decimal', [10, 2]). -#}
{% macro type_parts(type) %}
    {%- set found = modules.re.fullmatch("([^()]+?) *\\(([0-9, ]+)\\)(.*)", type) -%}
    {%- if not found -%} {{ return((type, [])) }} {%- endif -%}
    {%- set sizes = [] -%}
    {%- for size in found.group(2).split(",") -%} {%- do sizes.append(size | int) -%} {%- endfor -%}
    {{ return(((found.group(1) ~ found.group(3)) | trim, sizes)) }}
{% endmacro %}


{#- Whether the warehouse can widen a column in place. -#}
{% macro can_widen(narrow, wide) %}
    {{
        return(
            sluice.is_widening(narrow, wide) and adapter.dispatch("can_alter_type", "sluice")(narrow, wide)
        )
    }}
{% endmacro %}

{% macro default__can_alter_type(narrow, wide) %} {{ return(true) }} {% endmacro %}

{#- Redshift can only alter the length of a varchar in place (ALTER TABLE in its SQL reference). -#}
{% macro redshift__can_alter_type(narrow, wide) %}
    {{ return("char" in narrow and "char" in wide) }}
{% endmacro %}
