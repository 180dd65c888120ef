{#- SCD1: one row per business key, its last event. -#}
{% materialization scd1, default %}

    {%- set load = sluice.open_load("scd1") -%}
    {%- if load.has_work -%}
        {%- do sluice.stage_increment(load) -%}
        {%- do sluice.stage_scd1(load) -%}
        {%- do sluice.commit_load(load, sluice.scd1_sql(load)) -%}
    {%- endif -%}
    {{ return({"relations": load.relations}) }}

{% endmaterialization %}
