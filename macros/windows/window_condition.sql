{#- The rows of a window, as a condition on the source. -#}
{% macro window_condition(dependency, window) %}
    {%- if window.kind is none -%} {{ return("1 = 1" if window.new else "1 = 0") }}
    {%- elif window.end is none -%} {{ return("1 = 0") }}
    {%- endif -%}
    {%- set key = sluice.key_expression(dependency, window.kind) -%}
    {%- set terms = [] -%}
    {%- if window.start is not none -%}
        {%- do terms.append(key ~ (" > " if window.is_open else " >= ") ~ sluice.literal(window.start)) -%}
    {%- endif -%}
    {%- do terms.append(key ~ " <= " ~ sluice.literal(window.end)) -%}
    {{ return(terms | join(" and ")) }}
{% endmacro %}


{#- The key as bounds are compared with it. -#}
{% macro key_expression(dependency, kind) %}
    {{ return(adapter.dispatch("key_expression", "sluice")(dependency, kind)) }}
{% endmacro %}


{% macro default__key_expression(dependency, kind) %} {{ return(dependency.key) }} {% endmacro %}
