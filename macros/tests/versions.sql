{#- At most one current row per business key.

    Args:
        model (Relation): an SCD2 table.
        business_key (list of str): its key columns.
    Returns: a SELECT of the keys with more than one.
-#}
{% test one_current_row(model, business_key) %}

    {%- set key = sluice.columns(sluice.quoted(business_key)) %}

    select {{ key }}, count(*) as current_count
    from {{ sluice.tested_rows(model, business_key) }}
    where is_current
    group by {{ key }}
    having count(*) > 1

{% endtest %}


{#- No two versions of a business key hold at the same time; one without an end is the last.

    Args:
        model (Relation): an SCD2 table.
        business_key (list of str): its key columns.
    Returns: a SELECT of the versions that end after their successor begins.
-#}
{% test no_overlap(model, business_key) %}

    {%- set key = sluice.columns(sluice.quoted(business_key)) %}

    with
        versions as (
            select
                {{ key }},
                valid_from,
                valid_to,
                lead(valid_from) over (
                    partition by {{ key }} order by valid_from, valid_to
                ) as next_valid_from
            from {{ sluice.tested_rows(model, business_key) }}
        )

    select *
    from versions
    where next_valid_from is not null and (valid_to is null or valid_to > next_valid_from)

{% endtest %}


{#- Every version begins before it ends, and is_current is true exactly when it has no end.

    Args:
        model (Relation): an SCD2 table.
    Returns: a SELECT of the versions that do not.
-#}
{% test no_zero_length(model) %}

    select *
    from {{ sluice.tested_rows(model) }}
    where
        valid_from is null
        or valid_from >= valid_to
        or is_current is null
        or (is_current and valid_to is not null)
        or (not is_current and valid_to is null)

{% endtest %}


{#- Two versions of a key that touch differ in a tracked column; otherwise they would be one version.

    Args:
        model (Relation): an SCD2 table.
        business_key (list of str): its key columns.
        scd_columns (list of str): its tracked columns.
    Returns: a SELECT of the versions that equal the one before.
-#}
{% test touching_versions_differ(model, business_key, scd_columns) %}

    {%- set tracked = sluice.quoted(scd_columns) -%}
    {%- set previous = sluice.prefixed("_sluice_was_", tracked) -%}
    {%- set key = sluice.columns(sluice.quoted(business_key)) -%}
    {%- set over_key = "over (partition by " ~ key ~ " order by valid_from)" %}

    with
        versions as (
            select
                {{ key }},
                {%- for column in tracked %}
                    {{ column }}, lag({{ column }}) {{ over_key }} as {{ previous[loop.index0] }},
                {%- endfor %}
                valid_from,
                lag(valid_to) {{ over_key }} as previous_valid_to
            from {{ sluice.tested_rows(model, business_key) }}
        )

    select *
    from versions
    where previous_valid_to = valid_from and {{ sluice.same(tracked, "", "", "_sluice_was_") }}

{% endtest %}
