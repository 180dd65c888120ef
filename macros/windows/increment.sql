{#- The part of a driving source that this load reads, as a subselect with literal bounds.

    increment: rows reads the rows of the window. increment: groups reads every row of the groups that the windows of
    all driving sources touch. Neither reads a row whose key is NULL, because its time is unknown. increment: full
    reads all rows. While parsing, in dbt's unit tests, and when the target is verified or rebuilt, the macro returns
    the bare relation.

        from {{ sluice.increment(source('lake', 'flights')) }} as flights

    Args:
        relation (Relation): a driving source or ref.
        incremental_key (str): for a model written by hand that declares no dependencies.
    Returns: str, one parenthesised subselect with one comment `/* sluice:window {JSON} */`.
    Raises: when relation is no driving dependency, or its key cannot cut windows.
-#}
{% macro increment(relation, incremental_key=none) %}
    {#- dbt show runs the SELECT without the hooks of a run -#}
    {%- if execute and flags.WHICH == "show" -%} {%- do sluice.confine_files() -%} {%- endif -%}
    {%- set is_load = sluice.asked_task() in (none, "restate", "fill", "ties") -%}
    {%- if not execute or model.resource_type == "unit_test" -%} {{ return(relation) }} {%- endif -%}
    {%- if not is_load -%} {{ return(sluice.whole(relation)) }} {%- endif -%}
    {%- set dependencies = sluice.driving_dependencies(relation, incremental_key) -%}
    {%- set windows = sluice.capture_windows(dependencies) -%}
    {%- set rendered = sluice.whole_relation(relation) -%}
    {%- for dependency in dependencies if dependency.relation == rendered -%}
        {{ return(sluice.increment_sql(dependency, windows[dependency.source], dependencies, windows)) }}
    {%- endfor -%}
{% endmacro %}


{#- The windows of all driving sources, read once for the whole model, so that joined sources match. -#}
{% macro capture_windows(dependencies) %}
    {%- set windows = {} -%}
    {%- set captured = load_result("sluice_windows") -%}
    {%- set result = sluice.result() -%}
    {%- if captured is not none -%} {%- do windows.update(captured.response) -%}
    {%- elif result is not none -%} {%- do windows.update(result.windows) -%}
    {%- else -%} {%- do windows.update(sluice.capture_all(dependencies)) -%}
    {%- endif -%}
    {%- do store_result("sluice_windows", response=windows) -%}
    {{ return(windows) }}
{% endmacro %}


{#- The windows of sources by the log as it is now: dict, source to window. -#}
{% macro capture_all(dependencies) %}
    {%- set log = sluice.read_log(sluice.target_name(), dependencies) -%}
    {%- set windows = {} -%}
    {%- for dependency in dependencies -%}
        {%- do windows.update({dependency.source: sluice.capture_window(dependency, log)}) -%}
    {%- endfor -%}
    {{ return(windows) }}
{% endmacro %}


{% macro increment_sql(dependency, window, dependencies, windows) %}
    {%- set mode = sluice.setting("increment", "rows") -%}
    {%- set rows = (
        sluice.window_relation(dependency, window)
        if mode == "rows"
        else sluice.files_of(dependency.relation)
    ) -%}
    {%- set rows = sluice.shown_rows(rows, dependency.relation) -%}
    {%- set lines = ["select sluice_source.*", "from " ~ rows ~ " as sluice_source"] -%}
    {%- if flags.EMPTY -%} {%- do lines.append("where 1 = 0") -%}
    {%- elif mode == "rows" -%}
        {%- do lines.append("where " ~ sluice.window_condition(dependency, window)) -%}
        {%- if windows.values() | selectattr("restates", "defined") | list and window.start is not none -%}
            {%- do lines.extend(sluice.restated_lines(dependency, window, dependencies, windows)) -%}
        {%- endif -%}
    {%- elif mode == "groups" -%}
        {%- if not sluice.touches_everything(windows) -%}
            {%- do lines.append(
                "join " ~ sluice.touched_groups_sql(dependencies, windows) ~ " as sluice_touched"
            ) -%}
            {%- do lines.append(
                "    on "
                ~ sluice.in_group(
                    "sluice_source", sluice.group_terms(dependency.recompute_by), "sluice_touched"
                )
            ) -%}
        {%- endif -%}
        {%- if dependency.key is not none -%}
            {%- do lines.append("where sluice_source." ~ dependency.key ~ " is not null") -%}
        {%- endif -%}
    {%- endif -%}
    {%- set logged = [window] + windows.values() | selectattr("is_lookup", "defined") | list -%}
    {%- set comments = [] -%}
    {%- for item in logged -%}
        {%- do comments.append("/* sluice:window " ~ tojson(item) | replace("*", "\\u002a") ~ " */") -%}
    {%- endfor -%}
    {{ return("(\n        " ~ (comments + lines) | join("\n        ") ~ "\n    )") }}
{% endmacro %}


{#- The windows that increment() wrote into a model's SQL, in order and without duplicates.

    Args:
        compiled_sql (str): the compiled SELECT.
    Returns: list of dict (see capture_window).
-#}
{% macro read_windows(compiled_sql) %}
    {%- set windows = {} -%}
    {%- for text in modules.re.findall("/\\* sluice:window (\\{.*?\\}) \\*/", compiled_sql) -%}
        {%- set window = fromjson(text) -%} {%- do windows.update({window.source: window}) -%}
    {%- endfor -%}
    {{ return(windows.values() | list) }}
{% endmacro %}
