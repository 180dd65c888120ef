{#- SCD2: one row per version of a business key, from valid_from up to, not including, valid_to. -#}
{% materialization scd2, default %}

    {%- set load = sluice.open_load("scd2") -%}
    {%- if load.has_work -%}
        {%- do sluice.stage_increment(load) -%}
        {%- do sluice.stage_scd2(load) -%}
        {%- do sluice.commit_load(load, sluice.scd2_sql(load)) -%}
    {%- endif -%}
    {{ return({"relations": load.relations}) }}

{% endmaterialization %}
