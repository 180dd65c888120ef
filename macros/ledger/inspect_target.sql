{#- Verify or survey a target, or find its ties, instead of loading it. Nothing is written; the findings become the
    node's message, as JSON.

    Args:
        load (dict): see describe_load; its target was loaded before.
        task (str): verify, survey or ties.
-#}
{% macro inspect_target(load, task) %}
    {%- do sluice.describe_columns(load) -%}
    {%- if task == "survey" -%} {%- set found = sluice.survey_target(load) -%}
    {%- elif task == "ties" -%} {%- set found = sluice.find_ties(load) -%}
    {%- else -%} {%- set found = sluice.verify_target(load) -%}
    {%- endif -%}
    {%- do sluice.drop_temporaries(load) -%}
    {{ return(sluice.no_load(load.relation, tojson(found))) }}
{% endmacro %}


{#- Assign their roles to the columns that the target holds. What the SELECT yields beside them is left out. -#}
{% macro resolve_stored_columns(load) %}
    {%- set stored = sluice.stored_columns(load) -%}
    {%- set names = stored | map(attribute="name") | list -%}
    {%- do load.update(
        {"columns": load.columns | selectattr("name", "in", names) | list, "data_columns": stored}
    ) -%}
    {%- do sluice.resolve_columns(load) -%}
{% endmacro %}
