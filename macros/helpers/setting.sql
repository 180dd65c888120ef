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


{#- The current model as rows, logs and messages name it. -#}
{% macro target_name() %}
    {{ return(sluice.setting("target", this.schema ~ "." ~ this.identifier)) }}
{% endmacro %}


{#- What is done to the current target instead of a load: verify, survey or rebuild, none for a load.

    SLUICE_TASKS holds it as JSON, {target: task}; `sluice verify` and `sluice rebuild` set it.
-#}
{% macro asked_task() %}
    {{ return(fromjson(env_var("SLUICE_TASKS", "{}")).get(sluice.target_name())) }}
{% endmacro %}


{#- Windows that somebody asks for: {source: {start, end, moves_watermark}}, empty in a normal run. -#}
{% macro asked_windows(target_name) %}
    {{ return(fromjson(env_var("SLUICE_WINDOWS", "{}")).get(target_name, {})) }}
{% endmacro %}


{#- What Spark has left for this load, as the flow tells it in SLUICE_RESULTS; none in every other load.

    Returns: dict(manifest, pattern, row_count, columns, types, windows, groups) or none.
-#}
{% macro result() %}
    {{ return(fromjson(env_var("SLUICE_RESULTS", "{}")).get(sluice.target_name())) }}
{% endmacro %}


{#- Whether heal asks if the model would load: with --empty, also of rows that are switched off. -#}
{% macro is_probe() %} {{ return(flags.EMPTY and env_var("SLUICE_PROBE", "") == "1") }} {% endmacro %}
