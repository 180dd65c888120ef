{#- Append: each event once. The business key identifies an event. Without a key, a load replaces the range of the
    incremental key that it reads. -#}
{% materialization append, default %}

    {%- set load = sluice.open_load("append") -%}
    {%- if load.has_work -%}
        {%- do sluice.stage_increment(load) -%}
        {%- if load.key -%}
            {%- do sluice.stage_scd1(load) -%} {%- do sluice.commit_load(load, sluice.scd1_sql(load)) -%}
        {%- else -%}
            {%- do sluice.stage_range(load) -%} {%- do sluice.commit_load(load, sluice.range_sql(load)) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return({"relations": load.relations}) }}

{% endmaterialization %}
