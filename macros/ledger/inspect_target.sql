{#- Verify or survey a target instead of loading it. Nothing is written; the findings become the node's message, as
    JSON.

    Args:
        load (dict): see describe_load; its target was loaded before.
        task (str): verify or survey.
-#}
{% macro inspect_target(load, task) %}
    {%- do sluice.describe_columns(load) -%}
    {%- set found = sluice.survey_target(load) if task == "survey" else sluice.verify_target(load) -%}
    {%- do sluice.drop_temporaries(load) -%}
    {{ return(sluice.no_load(load.relation, tojson(found))) }}
{% endmacro %}
