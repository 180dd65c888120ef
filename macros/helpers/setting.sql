{#- A setting of the current model: `config(name=…)` first, then `config.meta.sluice.name`, which sync writes.

    Args:
        name (str): the setting, as control rows call it.
        default (any): its value when nobody set it.
    Returns: the value; lists and mappings as they were written.
-#}
{% macro setting(name, default=none) %}
    {%- set own = config.get(name) -%}
    {%- if own is not none -%} {{ return(own) }} {%- endif -%}
    {%- set written = (config.get("meta") or {}).get("sluice", {}).get(name) -%}
    {{ return(default if written is none else written) }}
{% endmacro %}


{#- A setting that is a list; a single word counts as a list of one. -#}
{% macro list_setting(name) %}
    {%- set value = sluice.setting(name, []) -%} {{ return([value] if value is string else value | list) }}
{% endmacro %}
