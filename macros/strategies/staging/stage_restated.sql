{#- Find the events that changed lookups touch, and let the SELECT read their driving rows from that table.

    sluice_restated holds their identities as the driving source yields them, sluice_redone as the target holds them. What
    the target stores of these events counts no longer: the stage holds all that the SELECT yields of them today.
-#}
{% macro stage_restated(load) %}
    {%- set windows = {} -%}
    {%- for window in load.windows + load.lookups -%}
        {%- do windows.update({window.source: window}) -%}
    {%- endfor -%}
    {%- set dependencies = sluice.declared_dependencies(load) -%}
    {%- set restated = sluice.restated_sql(dependencies[0], load.windows[0], dependencies, windows) -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_restated",
        "events that changed lookups touch",
        "select * from " ~ restated ~ " as restated",
    ) -%}
    {%- do load.replaced_texts.append((restated ~ " as sluice_restated", "sluice_restated")) -%}
    {%- do load.update({"sql": load.sql | replace(restated ~ " as sluice_restated", "sluice_restated")}) -%}
    {%- set names = [] -%}
    {%- set values = [] -%}
    {%- for name, expression in sluice.lookup_joins().identity -%}
        {%- set column = sluice.find_columns(load, "business_key", [name])[0] -%}
        {%- set described = load.columns | selectattr("name", "equalto", column) | first -%}
        {%- set key = "sluice_key_" ~ loop.index -%}
        {%- set value = sluice.cast_value(
            key, load.types[column], described.raw_type or load.types[column]
        ) -%}
        {%- do names.append(column) -%}
        {%- do values.append(value ~ " as " ~ column) -%}
    {%- endfor -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_redone",
        "the same as the target holds them",
        "select distinct " ~ values | join(", ") ~ " from sluice_restated",
    ) -%}
    {%- do load.update({"identity": names}) -%}
{% endmacro %}


{#- A join that marks touched events: `redone.<column>` is not NULL for them. -#}
{% macro redone_join(load, alias) %}
    {{ return("left join sluice_redone as redone on " ~ sluice.matches(load.identity, alias, "redone")) }}
{% endmacro %}


{#- Stored events that are touched and that the SELECT yields no more, as a table `sluice_void`. Rows that leave the target leave
    no event behind, so a new epoch begins: readers of the target read it once in full.

    Args:
        load (dict): the load; sets void_count and epoch.
        names (list of str): the columns that tell events of the target apart.
-#}
{% macro stage_void(load, names) %}
    {%- do sluice.run_temporary(
        load,
        "sluice_void",
        "stored events that the SELECT yields no more",
        sluice.void_sql(load, names),
    ) -%}
    {%- set counts = sluice.run_counts(
        load,
        none,
        "select count(*) as void_count, coalesce(sum(_sluice_is_row), 0) as row_count from sluice_void",
    ) -%}
    {%- do load.update({"void_count": counts.void_count, "void_row_count": counts.row_count}) -%}
    {%- if counts.void_count -%} {%- do load.update({"epoch": load.epoch + 1}) -%} {%- endif -%}
{% endmacro %}


{% macro void_sql(load, names) -%}
    with
        stored_events as (
            select {{ sluice.columns(load.data) }}, 1 as _sluice_is_row
            from {{ load.relation }}
            union all
            select {{ sluice.columns(load.data) }}, 0
            from {{ load.side }}
        )

    select {{ sluice.columns(load.data, "stored") }}, stored._sluice_is_row
    from stored_events as stored
    join sluice_redone as redone on {{ sluice.matches(load.identity, "stored", "redone") }}
    left join
        (select distinct {{ sluice.columns(names) }} from {{ load.stage }}) as yielded
        on {{ sluice.matches(names, "stored", "yielded") }}
    where yielded.{{ names[0] }} is null
{%- endmacro %}
