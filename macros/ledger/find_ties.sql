{#- The events of equal key, time and tie-breakers that differ in content, among those that the windows yield and those
    that are stored. It writes temporary tables only.

    Args:
        load (dict): the load; its target was loaded before.
    Returns: dict(tie_count: events that lost, ties: list of dict(event, content, is_kept, is_stored), at most 200; the
        event that is kept comes first).
    Raises: when the target has no business key.
-#}
{% macro find_ties(load) %}
    {%- do sluice.resolve_stored_columns(load) -%}
    {%- if not load.key -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " has no business key, so none of its events are equal.",
            "There is nothing to see.",
        ) -%}
    {%- endif -%}
    {%- if load.casts -%} {%- do sluice.prepare_casts(load) -%} {%- endif -%}
    {%- do sluice.create_temporary(
        load, "sluice_stage", "the rows of the windows", sluice.stage_sql(load)
    ) -%}
    {%- do sluice.run_temporary(load, "sluice_tie", "all ties", sluice.ranked_ties_sql(load)) -%}
    {%- set counts = sluice.run_counts(
        load,
        none,
        "select coalesce(sum(case when _sluice_rank > 1 then 1 else 0 end), 0) as tie_count from sluice_tie",
    ) -%}
    {%- set event = load.key + [load.at] + load.tie_breakers -%}
    {%- set content = load.compared | reject("in", event + ["_sluice_definition"]) | list -%}
    {%- call statement("sluice_ties", fetch_result=true, auto_begin=false) -%}
        select
            {{ sluice.row_text(sluice.typed_columns(load, event)) }} as event_text,
            {{ sluice.row_text(sluice.typed_columns(load, content)) if content else "''" }} as content_text,
            _sluice_rank,
            _sluice_is_stored
        from sluice_tie
        order by {{ sluice.columns(event) }}, _sluice_rank
        limit 200
    {%- endcall -%}
    {%- set ties = [] -%}
    {%- for row in load_result("sluice_ties").table.rows -%}
        {%- do ties.append(
            {
                "event": row[0],
                "content": row[1],
                "is_kept": row[2] | int == 1,
                "is_stored": row[3] | int == 1,
            }
        ) -%}
    {%- endfor -%}
    {{ return({"tie_count": counts.tie_count, "ties": ties}) }}
{% endmacro %}


{#- The events that tie, with their rank: 1 is kept. -#}
{% macro ranked_ties_sql(load) -%}
    {%- set tied = load.key + [load.at] + load.tie_breakers + ["_sluice_definition"] -%}
    {%- set content = sluice.columns(load.key + [load.at] + load.compared) -%}
    with
        contest as (
            select {{ content }}, _sluice_deleted, 0 as _sluice_is_stored
            from sluice_stage
            where _sluice_reject is null
            {%- for relation, deleted in (
                    (load.relation, "cast(0 as smallint)"),
                    (load.side, "_sluice_deleted"),
                ) %}
                union all
                select {{ content }}, {{ deleted }}, 1
                from {{ relation }}
                where _sluice_definition = {{ load.definition_number }}
            {%- endfor %}
        ),

        contents as (
            select {{ content }}, _sluice_deleted, max(_sluice_is_stored) as _sluice_is_stored
            from contest
            group by {{ content }}, _sluice_deleted
        ),

        ranked_events as (
            select
                contents.*,
                count(*) over (partition by {{ sluice.columns(tied) }}) as _sluice_content_count,
                row_number() over (
                    partition by {{ sluice.columns(tied) }} order by {{ sluice.winner_order(load) }}
                ) as _sluice_rank
            from contents
        )

    select *
    from ranked_events
    where _sluice_content_count > 1
{%- endmacro %}
