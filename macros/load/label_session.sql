{#- Label a load's statements, so that Redshift's query history tells what each load cost: its run, target and pipeline.

    The label is the query group. A profile or model with a query group of its own keeps it, because queues may be chosen
    by it. Other warehouses have no such label.

    Args:
        load (dict): the load.
    Source: https://docs.aws.amazon.com/redshift/latest/dg/r_query_group.html
-#}
{% macro label_session(load) %}
    {%- set label_sql = adapter.dispatch("label_session_sql", "sluice")(sluice.session_label(load)) -%}
    {%- if label_sql -%}
        {%- do sluice.run_step(load, "label for the query history", label_sql) -%}
    {%- endif -%}
{% endmacro %}


{#- Take the label away: statements of other nodes in this session are not the load's. -#}
{% macro unlabel_session(load) %}
    {%- set reset_sql = adapter.dispatch("label_session_sql", "sluice")(none) -%}
    {%- if reset_sql -%} {%- do sluice.run_step(load, none, reset_sql) -%} {%- endif -%}
{% endmacro %}


{#- The label as `sluice run=… target=… pipeline=…`, cut to the 320 characters that the history keeps. -#}
{% macro session_label(load) %}
    {%- set pipelines = [] -%}
    {%- for tag in config.get("tags") or [] if tag.startswith("pipeline:") -%}
        {%- do pipelines.append(tag[9:]) -%}
    {%- endfor -%}
    {{
        return(
            (
                "sluice run="
                ~ load.run_id
                ~ " target="
                ~ load.target_name
                ~ " pipeline="
                ~ (pipelines | first or "")
            )[:320]
        )
    }}
{% endmacro %}


{% macro default__label_session_sql(label) %} {{ return(none) }} {% endmacro %}

{% macro redshift__label_session_sql(label) %}
    {%- if target.get("query_group") or config.get("query_group") -%} {{ return(none) }} {%- endif -%}
    {{ return("set query_group to " ~ sluice.literal(label) if label else "reset query_group") }}
{% endmacro %}
