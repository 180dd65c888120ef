{#- Versions from events: sluice_history (key, time, columns, deleted, _sluice_run_from) with the bounds of each
    event's version.

    _sluice_is_end marks the last event of a version, which becomes the version's row. Other events and deletes belong
    to the side table.
-#}
{% macro scd2_version_sql(load) -%}
    {%- set over_key = "over (partition by " ~ sluice.columns(load.key) ~ " order by " ~ load.at ~ ")" -%}
    {%- set previous = sluice.previous_values(load, over_key) -%}
    with
        events_beside_previous as (
            select
                sluice_history.*,
                {{ sluice.in_lines(previous, 1) }},
                lag(_sluice_deleted) {{ over_key }} as _sluice_was_deleted
            from sluice_history
        ),

        starts as (
            select events_beside_previous.*, {{ sluice.is_start_sql(load) }} as _sluice_is_start
            from events_beside_previous
        ),

        bounds as (
            select
                starts.*,
                lead(_sluice_is_start) {{ over_key }} as _sluice_next_is_start,
                lead({{ load.at }}) {{ over_key }} as valid_to,
                max(case when _sluice_is_start = 1 then _sluice_run_from end) over (
                    partition by {{ sluice.columns(load.key) }}
                    order by {{ load.at }}
                    rows between unbounded preceding and current row
                ) as valid_from
            from starts
        )

    select
        {{ sluice.columns(load.data) }},
        _sluice_deleted,
        valid_from,
        valid_to,
        case when _sluice_next_is_start = 0 then 0 else 1 end as _sluice_is_end
    from bounds
{%- endmacro %}


{#- The tracked columns of the event before, as _sluice_was_…: list of str. -#}
{% macro previous_values(load, over_key) %}
    {%- set names = sluice.prefixed("_sluice_was_", load.tracked) -%}
    {%- set previous = [] -%}
    {%- for name in load.tracked -%}
        {%- do previous.append("lag(" ~ name ~ ") " ~ over_key ~ " as " ~ names[loop.index0]) -%}
    {%- endfor -%}
    {{ return(previous) }}
{% endmacro %}


{#- Whether an event starts a version: after nothing, after a delete, or by a change in a tracked column. -#}
{% macro is_start_sql(load) -%}
    case
        when _sluice_deleted = 1 or _sluice_was_deleted is null or _sluice_was_deleted = 1
        then 1
        when {{ sluice.same(load.tracked, "", "", "_sluice_was_") }}
        then 0
        else 1
    end
{%- endmacro %}


{#- Stage the versions of sluice_history, into sluice_version. -#}
{% macro stage_versions(load) %}
    {%- do sluice.run_temporary(
        load,
        "sluice_version",
        "their events with the bounds of their versions",
        sluice.scd2_version_sql(load),
    ) -%}
{% endmacro %}
