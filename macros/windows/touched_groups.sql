{#- The groups that the windows of all driving sources touch, as a subselect of sluice_group_1, sluice_group_2, ….

    The text is the same in every increment() of a model, so that the materialization can compute the groups once.
-#}
{% macro touched_groups_sql(dependencies, windows) %}
    {%- set parts = [] -%}
    {%- for dependency in dependencies if dependency.source in windows and not dependency.is_lookup -%}
        {%- set window = windows[dependency.source] -%}
        {%- do parts.append(
            sluice.window_groups_sql(
                dependency, sluice.window_relation(dependency, window), window
            )
        ) -%}
        {%- set side = sluice.companion_relation(dependency.source, "side") -%}
        {%- if dependency.managed and window.end is not none and sluice.is_there(side) -%}
            {#- rows that left an upstream target are only in its side table -#}
            {%- do parts.append(sluice.window_groups_sql(dependency, side, window)) -%}
        {%- endif -%}
        {%- if windows.values() | selectattr("restates", "defined") | list -%}
            {%- do parts.extend(
                sluice.reached_queries(
                    dependency, sluice.group_columns(dependency), "1 = 1", dependencies, windows
                )
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(sluice.nested(sluice.combined(parts, "union"), 8)) }}
{% endmacro %}


{% macro window_groups_sql(dependency, relation, window) -%}
    select distinct {{ sluice.group_columns(dependency) }}
    from {{ relation }}
    where {{ sluice.window_condition(dependency, window) }}
{%- endmacro %}


{#- Whether a row of a table is in a touched group. Columns match by position, and NULL equals NULL. -#}
{% macro in_group(alias, columns, touched) %}
    {%- set pairs = [] -%}
    {%- for column in columns -%}
        {#- an expression stands over the columns of the source, which alone has them -#}
        {%- set term = column if column.startswith("(") else alias ~ "." ~ column -%}
        {%- do pairs.append((term, touched ~ ".sluice_group_" ~ loop.index)) -%}
    {%- endfor -%}
    {{ return(sluice.null_safe_equal(pairs) | join(" and ")) }}
{% endmacro %}


{% macro group_columns(dependency) %}
    {%- if not dependency.recompute_by -%}
        {%- do sluice.raise_error(
            "increment",
            dependency.source
            ~ " drives "
            ~ sluice.target_name()
            ~ " by groups and has no recompute_by.",
            "Name the columns of " ~ dependency.source ~ " that identify its groups.",
        ) -%}
    {%- endif -%}
    {%- set listed = [] -%}
    {%- for column in sluice.group_terms(dependency.recompute_by) -%}
        {%- do listed.append(column ~ " as sluice_group_" ~ loop.index) -%}
    {%- endfor -%}
    {{ return(listed | join(", ")) }}
{% endmacro %}


{#- Whether every group has to be computed: in a first load or full refresh, after a rebuild or full refresh of an
    upstream target, when a source without a key changed, and when a file is gone whose rows are to be removed.

    A source that was never read has a window without a start. A source that a backfill does not request is not new. Of a
    lookup without a key, nobody knows which rows changed.
-#}
{% macro touches_everything(windows) %}
    {%- for window in windows.values()
        if window.forgets
        or (
            window.new
            and window.start is none
            and (not window.is_lookup or (window.restates and window.kind is none))
        )
    -%}
        {{ return(true) }}
    {%- endfor -%}
    {{ return(false) }}
{% endmacro %}


{#- The terms of a group in SQL: columns by name, and expressions, which sync writes as {sql: …}. -#}
{% macro group_terms(recompute_by) %}
    {%- set terms = [] -%}
    {%- for part in recompute_by -%}
        {%- do terms.append("(" ~ part.sql ~ ")" if part is mapping else sluice.quoted(part)[0]) -%}
    {%- endfor -%}
    {{ return(terms) }}
{% endmacro %}
