{#- Every version begins before it ends, and is_current says whether it has an end.

    Args:
        model (Relation): an SCD2 table.
    Returns: a SELECT of the versions that do not.
-#}
{% test no_zero_length(model) %}

    select *
    from {{ model }}
    where
        valid_from is null
        or valid_from >= valid_to
        or is_current is null
        or (is_current and valid_to is not null)
        or (not is_current and valid_to is null)

{% endtest %}
