{#- Queries of the faults in the versions of an SCD2 target: list of str. -#}
{% macro version_differences(load) %}
    {%- set names = load.key + ["valid_from"] -%}
    {%- set twice -%}
        select {{ sluice.columns(load.key + [load.at]) }}, count(*) as event_count
        from sluice_event
        group by {{ sluice.columns(load.key + [load.at]) }}
        having count(*) > 1
    {%- endset -%}
    {%- set endless -%}
        select {{ sluice.columns(load.key) }}, valid_from, valid_to
        from {{ load.relation }}
        where valid_from is null or valid_to <= valid_from
    {%- endset -%}
    {{
        return(
            [
                sluice.difference_sql(
                    load,
                    "duplicate event",
                    load.key + [load.at],
                    "cast(event_count as varchar) || ' times in target and side table'",
                    twice,
                ),
                sluice.difference_sql(
                    load,
                    "version without length",
                    names,
                    "'it ends at ' || coalesce(cast(valid_to as varchar), 'no time')",
                    endless,
                ),
                sluice.difference_sql(
                    load,
                    "version is missing",
                    names,
                    "'the ledger gives it, up to ' || coalesce(cast(valid_to as varchar), 'now')",
                    sluice.lone_versions_sql(load, "sluice_expected", "sluice_standing"),
                ),
                sluice.difference_sql(
                    load,
                    "version is not expected",
                    names,
                    "'the ledger does not give it; it ends at ' || coalesce(cast(valid_to as varchar), 'no time')",
                    sluice.lone_versions_sql(load, "sluice_standing", "sluice_expected"),
                ),
                sluice.difference_sql(
                    load, "version differs", names, "detail", sluice.differing_versions_sql(load)
                ),
            ]
        )
    }}
{% endmacro %}


{% macro lone_versions_sql(load, these, those) -%}
    select {{ sluice.columns(load.key + ["valid_from", "valid_to"], "these") }}
    from {{ these }} as these
    left join {{ those }} as those on {{ sluice.matches(load.key + ["valid_from"], "these", "those") }}
    where those.valid_from is null
{%- endmacro %}


{#- Versions that both the target and the ledger hold, and that differ; detail names the differing columns. -#}
{% macro differing_versions_sql(load) -%}
    {%- set terms = [] -%}
    {%- for name in load.data + ["valid_to", "is_current"] if name not in load.key -%}
        {%- set type = "boolean" if name == "is_current" else load.types.get(name, load.types[load.at]) -%}
        {%- set stands = "coalesce(" ~ sluice.as_text("standing." ~ name, type, 100) ~ ", 'NULL')" -%}
        {%- set wanted = "coalesce(" ~ sluice.as_text("expected." ~ name, type, 100) ~ ", 'NULL')" -%}
        {%- do terms.append(
            "case when "
            ~ sluice.null_safe_equal([("standing." ~ name, "expected." ~ name)])[0]
            ~ " then '' else "
            ~ sluice.literal(name ~ " is ")
            ~ " || substring("
            ~ stands
            ~ ", 1, 100) || ', the ledger says ' || substring("
            ~ wanted
            ~ ", 1, 100) || '; ' end"
        ) -%}
    {%- endfor -%}
    select
        {{ sluice.columns(load.key + ["valid_from"], "standing") }},
        substring({{ terms | join("\n        || ") }}, 1, 4000) as detail
    from sluice_standing as standing
    join
        sluice_expected as expected on {{ sluice.matches(load.key + ["valid_from"], "standing", "expected") }}
{%- endmacro %}
