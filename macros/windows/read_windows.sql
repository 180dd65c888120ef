{#- The windows that increment() wrote into a model's SQL, in order and without repetition.

    Args:
        compiled_sql (str): the compiled SELECT.
    Returns: list of dict (see capture_window).
-#}
{% macro read_windows(compiled_sql) %}
    {%- set windows = {} -%}
    {%- for text in modules.re.findall("/\\* sluice:window (\\{.*?\\}) \\*/", compiled_sql) -%}
        {%- set window = fromjson(text) -%} {%- do windows.update({window.source: window}) -%}
    {%- endfor -%}
    {{ return(windows.values() | list) }}
{% endmacro %}
