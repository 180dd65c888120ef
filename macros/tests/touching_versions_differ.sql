{#- Two versions of a key that touch differ in a tracked column; else they are one.

    Args:
        model (Relation): an SCD2 table.
        business_key (list of str): its key columns.
        scd_columns (list of str): its tracked columns.
    Returns: a SELECT of the versions that equal the one before.
-#}
{% test touching_versions_differ(model, business_key, scd_columns) %}

    {%- set tracked = sluice.quoted_list(scd_columns) -%}
    {%- set over_key = (
        "over (partition by " ~ sluice.quoted_columns(business_key) ~ " order by valid_from)"
    ) %}

    with
        versions as (
            select
                {{ sluice.quoted_columns(business_key) }},
                {%- for column in tracked %}
                    {{ column }},
                    lag({{ column }}) {{ over_key }} as {{ sluice.prefixed("_sluice_was_", column) }},
                {%- endfor %}
                valid_from,
                lag(valid_to) {{ over_key }} as previous_valid_to
            from {{ model }}
        )

    select *
    from versions
    where previous_valid_to = valid_from and {{ sluice.same(tracked, "", "", "_sluice_was_") }}

{% endtest %}
