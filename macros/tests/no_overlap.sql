{#- No two versions of a business key hold at the same time; one without an end is the last.

    Args:
        model (Relation): an SCD2 table.
        business_key (list of str): its key columns.
    Returns: a SELECT of the versions that end after their successor begins.
-#}
{% test no_overlap(model, business_key) %}

    with
        versions as (
            select
                {{ sluice.quoted_columns(business_key) }},
                valid_from,
                valid_to,
                lead(valid_from) over (
                    partition by {{ sluice.quoted_columns(business_key) }} order by valid_from, valid_to
                ) as next_valid_from
            from {{ model }}
        )

    select *
    from versions
    where next_valid_from is not null and (valid_to is null or valid_to > next_valid_from)

{% endtest %}
