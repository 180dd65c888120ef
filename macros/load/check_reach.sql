{#- Before --full-refresh replaces a target: stop when the target holds rows that its sources no longer yield.

    In a history, every event counts that is older than the oldest staged one. In SCD1 and append, an older row counts
    only when its key is not staged: a newer event of the same key replaces it as usual.

    Args:
        load (dict): the load, staged.
    Raises: with the number of rows that would be lost, unless SLUICE_FORCE_FULL_REFRESH is 1.
-#}
{% macro check_reach(load) %}
    {%- set is_forced = env_var("SLUICE_FORCE_FULL_REFRESH", "") == "1" -%}
    {%- set reads_state = load.type == "scd1" and load.is_load_timed -%}
    {%- if not (load.is_first or load.makes_target or is_forced or reads_state or flags.EMPTY) -%}
        {%- set lost = sluice.run_counts(
            load, "rows that only the target holds", sluice.unreachable_sql(load)
        ) -%}
        {%- if lost.event_count -%}
            {%- do sluice.raise_error(
                load.type,
                lost.event_count
                ~ " rows of "
                ~ load.target_name
                ~ " are older than every row that its sources still yield: --full-refresh would lose them. Nothing was written.",
                "Run it without --full-refresh, or rebuild the target from its ledger (sluice rebuild "
                ~ load.target_name
                ~ "). To lose them on purpose: SLUICE_FORCE_FULL_REFRESH=1.",
            ) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}


{% macro unreachable_sql(load) -%}
    {%- set is_history = load.type == "scd2" -%}
    select count(*) as event_count
    from
        (
            select {{ sluice.columns(load.key + [load.at]) }}
            from {{ load.relation }}
            {%- if is_history %}
                union all
                select {{ sluice.columns(load.key + [load.at]) }}
                from {{ load.side }}
            {%- endif %}
        ) as stored
    cross join (select min({{ load.at }}) as _sluice_oldest from {{ load.stage }}) as staged
    {%- if load.key and not is_history %}
        left join
            (select distinct {{ sluice.columns(load.key) }} from {{ load.stage }}) as given
            on {{ sluice.matches(load.key, "stored", "given") }}
    {%- endif %}
    where
        (staged._sluice_oldest is null or stored.{{ load.at }} < staged._sluice_oldest)
        {%- if load.key and not is_history %} and given.{{ load.key[0] }} is null {%- endif %}
{%- endmacro %}
