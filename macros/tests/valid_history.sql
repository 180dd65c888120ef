{#- The five invariants of an SCD2 history by one statement: key_not_null, one_current_row, no_overlap, no_zero_length and
    touching_versions_differ, which are also tests of their own.

    dbt says how many versions fail. Each failing row names its checks in failed_checks, which `dbt test --store-failures`
    keeps; `sluice run` says them with numbers and examples of keys (macro failed_checks).

    Args:
        model (Relation): an SCD2 table.
        business_key (list of str): its key columns.
        scd_columns (list of str): its tracked columns; none: touching versions are not compared.
    Returns: a SELECT of the versions that fail a check.
-#}
{% test valid_history(model, business_key, scd_columns=[]) %}

    {%- set keys = sluice.quoted(business_key) -%}
    {%- set key = sluice.columns(keys) -%}
    {%- set tracked = sluice.quoted(scd_columns) -%}
    {%- set previous = sluice.prefixed("_sluice_was_", tracked) -%}
    {%- set over_key = "over (partition by " ~ key ~ " order by valid_from, valid_to)" %}

    with
        tested_versions as (
            select {{ sluice.columns(keys + tracked) }}, valid_from, valid_to, is_current
            from
                {{ sluice.tested_rows(model, business_key) }}
                {%- set unkeyed = sluice.unkeyed_rows(model, business_key) %}
            {%- if unkeyed %}
                union all
                select {{ sluice.columns(keys + tracked) }}, valid_from, valid_to, is_current
                from {{ unkeyed }}
            {%- endif %}
        ),

        versions as (
            select
                {{ key }},
                valid_from,
                valid_to,
                is_current,
                {%- for column in tracked %}
                    {{ column }}, lag({{ column }}) {{ over_key }} as {{ previous[loop.index0] }},
                {%- endfor %}
                lag(valid_to) {{ over_key }} as previous_valid_to,
                lead(valid_from) {{ over_key }} as next_valid_from,
                sum(case when is_current then 1 else 0 end) over (partition by {{ key }}) as current_count
            from tested_versions
        ),

        checked_versions as (
            select
                {{ key }},
                valid_from,
                valid_to,
                case when {{ keys | join(" is null or ") }} is null then 'key_not_null ' else '' end
                || case when is_current and current_count > 1 then 'one_current_row ' else '' end
                || case
                    when next_valid_from is not null and (valid_to is null or valid_to > next_valid_from)
                    then 'no_overlap '
                    else ''
                end
                || case
                    when
                        valid_from is null
                        or valid_from >= valid_to
                        or is_current is null
                        or (is_current and valid_to is not null)
                        or (not is_current and valid_to is null)
                    then 'no_zero_length '
                    else ''
                end
                {%- if tracked %}
                    || case
                        when
                            previous_valid_to = valid_from
                            and {{ sluice.same(tracked, "", "", "_sluice_was_") }}
                        then 'touching_versions_differ '
                        else ''
                    end
                {%- endif %} as failed_checks
            from versions
        )

    select failed_checks, {{ key }}, valid_from, valid_to
    from checked_versions
    where failed_checks <> ''

{% endtest %}
