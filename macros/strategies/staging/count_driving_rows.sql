{#- Count the rows that a load reads of its driving source, and those without a row in a lookup that drops them.

    Of several driving sources nothing is counted: their rows are joined with one another.

    Args:
        load (dict): the load, staged; sets driving_rows, dict(read, yielded, unmatched: lookup to number, undeclared: those
            of these lookups whose dependency does not say may_drop).
        yielded (int): rows of the SELECT.
-#}
{% macro count_driving_rows(load, yielded) %}
    {%- set dependencies = sluice.declared_dependencies(load) -%}
    {%- if load.windows | length == 1 -%}
        {%- set windows = {} -%}
        {%- for window in load.windows + load.lookups -%}
            {%- do windows.update({window.source: window}) -%}
        {%- endfor -%}
        {%- set increment = namespace(
            text=sluice.increment_sql(dependencies[0], load.windows[0], dependencies, windows)
        ) -%}
        {%- for before, after in load.replaced_texts -%}
            {%- set increment.text = increment.text | replace(before, after) -%}
        {%- endfor -%}
        {%- set paths = {} -%}
        {%- for lookup in load.dropping -%}
            {%- set ways = sluice.lookup_joins().paths.get(lookup, []) -%}
            {%- if ways | length == 1 -%} {%- do paths.update({lookup: ways[0][1]}) -%} {%- endif -%}
        {%- endfor -%}
        {%- set counts = sluice.run_counts(
            load,
            "driving rows, and those without a row in a lookup",
            sluice.driving_rows_sql(increment.text, paths),
        ) -%}
        {%- set unmatched = {} -%}
        {%- set undeclared = [] -%}
        {%- for lookup in paths -%}
            {%- do unmatched.update({lookup: counts["unmatched_" ~ loop.index]}) -%}
            {%- for written in sluice.setting("dependencies", [])
                if written.table == lookup and not written.get("may_drop")
            -%}
                {%- do undeclared.append(lookup) -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- do load.update(
            {
                "driving_rows": {
                    "read": counts.driving_count,
                    "yielded": yielded,
                    "unmatched": unmatched,
                    "undeclared": undeclared,
                }
            }
        ) -%}
    {%- endif -%}
{% endmacro %}


{% macro driving_rows_sql(increment_text, paths) -%}
    select
        count(*) as driving_count
        {%- for hops in paths.values() %}
            ,
            sum(
                case when sluice_lookup_{{ loop.index }}.sluice_key_1 is null then 1 else 0 end
            ) as unmatched_{{ loop.index }}
        {%- endfor %}
    from {{ increment_text }} as sluice_driving
    {%- for hops in paths.values() %}
            {%- set alias = "sluice_lookup_" ~ loop.index -%}
            {%- set everything = sluice.chosen_sql(
                sluice.numbered_keys(hops[-1][2]), sluice.declared_relation(hops[-1][1]), "1 = 1"
            ) -%}
            {%- set pairs = [] -%}
            {%- for expression in hops[0][0] -%}
                {%- do pairs.append(expression ~ " = " ~ alias ~ ".sluice_key_" ~ loop.index) -%}
            {%- endfor %}
        left join
            {{ sluice.nested(sluice.reach_sql(hops, everything), 12) }} as {{ alias }}
            on {{ pairs | join(" and ") }}
    {%- endfor %}
{%- endmacro %}
