{#- The lines that add to the rows of a window those that changed lookups touch: list of str.

    Every row of a touched event's identity is read, so that all rows compete again that may yield the event.
-#}
{% macro restated_lines(dependency, window, dependencies, windows) %}
    {%- set key = sluice.key_expression(dependency, window.kind) -%}
    {#- unread files may hold any key: a row that is read twice is the same event -#}
    {%- set below = " <= " if window.is_open or window.files else " < " -%}
    {%- set bound = window.end if window.files else window.start -%}
    {%- set pairs = [] -%}
    {%- for name, expression in sluice.lookup_joins().identity -%}
        {%- do pairs.append(expression ~ " = sluice_restated.sluice_key_" ~ loop.index) -%}
    {%- endfor -%}
    {{
        return(
            [
                "union all",
                "select sluice_source.*",
                "from " ~ sluice.files_of(dependency.relation) ~ " as sluice_source",
                "join "
                ~ sluice.restated_sql(dependency, window, dependencies, windows)
                ~ " as sluice_restated",
                "    on " ~ pairs | join(" and "),
                "where " ~ key ~ below ~ sluice.literal(bound),
            ]
        )
    }}
{% endmacro %}


{#- The identities of the driving rows that changed lookups touch, as a subselect of sluice_key_1, sluice_key_2, ….

    The text is the same in increment() and in the materialization, which computes it once.
-#}
{% macro restated_sql(dependency, window, dependencies, windows) %}
    {%- set listed = [] -%}
    {%- for name, expression in sluice.lookup_joins().identity -%}
        {%- do listed.append(expression ~ " as sluice_key_" ~ loop.index) -%}
    {%- endfor -%}
    {%- if window.end is none -%} {%- set condition = "1 = 0" -%}
    {%- else -%}
        {%- set condition = (
            sluice.key_expression(dependency, window.kind) ~ " <= " ~ sluice.literal(window.end)
        ) -%}
    {%- endif -%}
    {%- set queries = sluice.reached_queries(
        dependency, listed | join(", "), condition, dependencies, windows
    ) -%}
    {{ return(sluice.nested(sluice.combined(queries, "union"), 8)) }}
{% endmacro %}


{#- The driving rows that changed lookups reach, one query per way to a lookup: list of str.

    Args:
        dependency (dict): the driving source.
        columns (str): what a query yields of a row.
        condition (str): which rows of the source may be reached.
        dependencies (list of dict): see driving_dependencies.
        windows (dict): source to window, see capture_window.
-#}
{% macro reached_queries(dependency, columns, condition, dependencies, windows) %}
    {%- set queries = [] -%}
    {%- for lookup in dependencies if lookup.is_lookup and windows[lookup.source].restates -%}
        {%- set window = windows[lookup.source] -%}
        {%- if window.kind is none -%}
            {#- only a change token tells that it changed, so every row may be touched -#}
            {%- do queries.append(
                sluice.chosen_sql(columns, sluice.files_of(dependency.relation), condition)
            ) -%}
        {%- else -%}
            {%- for source, hops in sluice.lookup_joins().paths.get(lookup.source, [])
                if source == dependency.source
            -%}
                {%- set changed = sluice.changed_keys_sql(lookup, window, hops[-1][2]) -%}
                {%- set inner = sluice.reach_sql(hops, changed) -%}
                {%- do queries.append(
                    sluice.joined_sql(
                        columns, sluice.files_of(dependency.relation), inner, hops[0][0], condition
                    )
                ) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(queries) }}
{% endmacro %}


{#- The joined values of the rows of a lookup that changed: those of its window, and rows that left another target. -#}
{% macro changed_keys_sql(lookup, window, expressions) %}
    {%- set condition = sluice.window_condition(lookup, window) -%}
    {%- set keys = sluice.numbered_keys(expressions) -%}
    {%- set parts = [sluice.chosen_sql(keys, sluice.window_relation(lookup, window), condition)] -%}
    {%- set side = sluice.companion_relation(lookup.source, "side") -%}
    {%- if lookup.managed and window.end is not none and sluice.is_there(side) -%}
        {%- do parts.append(sluice.chosen_sql(keys, side, condition)) -%}
    {%- endif -%}
    {{ return(sluice.combined(parts, "union")) }}
{% endmacro %}


{#- Values of the first table of a way that lead to some values of its last table, as a query of sluice_key_1, ….

    Args:
        hops (list): each [expressions of the table before, table, expressions of the table], all lists of str.
        inner (str): query of the values of the last table.
-#}
{% macro reach_sql(hops, inner) %}
    {%- set reached = namespace(query=inner) -%}
    {%- for hop in hops[1:] | reverse -%}
        {%- set before = hops[hops.index(hop) - 1] -%}
        {%- set reached.query = sluice.joined_sql(
            sluice.numbered_keys(before[2]),
            sluice.declared_relation(before[1]),
            reached.query,
            hop[0],
            "1 = 1",
        ) -%}
    {%- endfor -%}
    {{ return(reached.query) }}
{% endmacro %}


{% macro chosen_sql(columns, relation, condition) -%}
    select distinct {{ columns }} from {{ relation }} where {{ condition }}
{%- endmacro %}


{% macro joined_sql(columns, relation, inner, expressions, condition) -%}
    {%- set pairs = [] -%}
    {%- for expression in expressions -%}
        {%- do pairs.append(expression ~ " = sluice_reached.sluice_key_" ~ loop.index) -%}
    {%- endfor -%}
    select distinct {{ columns }}
    from {{ relation }}
    join {{ sluice.nested(inner) }} as sluice_reached on {{ pairs | join(" and ") }}
    where {{ condition }}
{%- endmacro %}


{% macro numbered_keys(expressions) %}
    {%- set listed = [] -%}
    {%- for expression in expressions -%}
        {%- do listed.append(expression ~ " as sluice_key_" ~ loop.index) -%}
    {%- endfor -%}
    {{ return(listed | join(", ")) }}
{% endmacro %}


{#- How the SELECT joins its lookups, as sync wrote it: dict(paths: lookup to list of [driving source, hops], dropping: list of
    str, identity: list of [target column, expression]). -#}
{% macro lookup_joins() %} {{ return((config.get("meta") or {}).get("lookups", {})) }} {% endmacro %}


{#- A table that the row declares, as text. -#}
{% macro declared_relation(table) %}
    {%- for written in sluice.setting('dependencies', []) if written.table == table -%}
        {%- set is_ref = written.get("ref") is not none -%}
        {{
            return(
                sluice.files_of(
                    sluice.whole_relation(
                        ref(written.ref) if is_ref else source(written.source[0], written.source[1])
                    )
                )
            )
        }}
    {%- endfor -%}
{% endmacro %}
