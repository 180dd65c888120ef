{#- Compute the touched groups once, and let every increment() of the SELECT read that table.

    The same groups then decide which rows are read and which absences count, whatever happens to the sources in
    between. A result of Spark that was read by groups brings its groups with it.
-#}
{% macro stage_touched_groups(load) %}
    {%- set windows = {} -%}
    {%- for window in load.windows + load.lookups -%}
        {%- do windows.update({window.source: window}) -%}
    {%- endfor -%}
    {%- set touches_everything = sluice.touches_everything(windows) or flags.EMPTY -%}
    {%- do load.update({"touches_everything": touches_everything}) -%}
    {%- if load.result and not touches_everything -%}
        {%- do sluice.stage_result_groups(load, load.result.groups) -%}
    {%- elif not touches_everything -%}
        {%- set groups_sql = sluice.touched_groups_sql(sluice.declared_dependencies(load), windows) -%}
        {%- if groups_sql not in load.sql -%}
            {%- do sluice.raise_error(
                load.type,
                "the SELECT of "
                ~ load.target_name
                ~ " does not read its driving sources with sluice.increment().",
                "Run sluice sync, or correct the model.",
            ) -%}
        {%- endif -%}
        {%- do sluice.run_temporary(
            load,
            "sluice_touched",
            "the groups that new rows touch",
            "select * from " ~ groups_sql ~ " as touched",
        ) -%}
        {%- do load.replaced_texts.append((groups_sql ~ " as sluice_touched", "sluice_touched")) -%}
        {%- do load.update(
            {"sql": load.sql | replace(groups_sql ~ " as sluice_touched", "sluice_touched")}
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- The driving dependencies of a model that declares them. -#}
{% macro declared_dependencies(load) %}
    {%- for written in sluice.setting('dependencies', []) if written.driving -%}
        {%- set is_ref = written.get("ref") is not none -%}
        {%- set relation = ref(written.ref) if is_ref else source(written.source[0], written.source[1]) -%}
        {{ return(sluice.driving_dependencies(relation, none)) }}
    {%- endfor -%}
    {%- do sluice.raise_error(
        load.type,
        load.target_name ~ " is read by groups and declares no driving dependency.",
        "List dependencies with recompute_by under config.meta.sluice.",
    ) -%}
{% endmacro %}


{#- The target's columns that carry the group: recompute_key, else the names of the first driving source. -#}
{% macro group_key(load) %}
    {%- set names = (
        sluice.list_setting("recompute_key") or sluice.declared_dependencies(load)[0].recompute_by
    ) -%}
    {{ return(sluice.find_columns(load, "recompute_key", names)) }}
{% endmacro %}
