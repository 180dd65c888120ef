{#- A setting of the current model: `config(name=…)` first, then `config.meta.sluice.name`, which sync writes.

    Args:
        name (str): the setting, as control rows call it.
        default (any): its value when it is not set.
    Returns: the value; lists and mappings as they were written.
-#}
{% macro setting(name, default=none) %}
    {%- set own = config.get(name) -%}
    {%- if own is not none -%} {{ return(own) }} {%- endif -%}
    {%- set written = (config.get("meta") or {}).get("sluice", {}).get(name) -%}
    {{ return(default if written is none else written) }}
{% endmacro %}


{#- A setting that is a list. A single string counts as a list of one. -#}
{% macro list_setting(name) %}
    {%- set value = sluice.setting(name, []) -%} {{ return([value] if value is string else value | list) }}
{% endmacro %}


{#- The name of the current model in control rows, logs and messages. -#}
{% macro target_name() %}
    {{ return(sluice.setting("target", this.schema ~ "." ~ this.identifier)) }}
{% endmacro %}


{#- The task that replaces a load of the current target: verify, survey, ties, rebuild or prune; restate for a load whose
    events take the place of older derivations; fill for one that gives stored events new columns. None for any other
    load.

    SLUICE_TASKS holds it as JSON, {target: task}; `sluice verify` and `sluice rebuild` set it.
-#}
{% macro asked_task() %}
    {%- set asked = env_var("SLUICE_TASKS", "{}") -%}
    {{ return(fromjson(asked).get(sluice.target_name()) if asked != "{}" else none) }}
{% endmacro %}


{#- The windows that SLUICE_WINDOWS requests, by source: {source: {start, end, moves_watermark}}. Empty in a normal
    run. -#}
{% macro asked_windows(target_name) %}
    {{ return(fromjson(env_var("SLUICE_WINDOWS", "{}")).get(target_name, {})) }}
{% endmacro %}


{#- The result that Spark wrote for this load, from SLUICE_RESULTS. None in a load without Spark.

    Returns: dict(manifest, pattern, row_count, columns, types, windows, groups) or none.
-#}
{% macro result() %}
    {%- set written = env_var("SLUICE_RESULTS", "{}") -%}
    {{ return(fromjson(written).get(sluice.target_name()) if written != "{}" else none) }}
{% endmacro %}


{#- Whether `sluice heal` probes the model: with --empty, also when its row is inactive. -#}
{% macro is_probe() %} {{ return(flags.EMPTY and env_var("SLUICE_PROBE", "") == "1") }} {% endmacro %}
