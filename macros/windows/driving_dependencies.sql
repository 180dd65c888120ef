{#- The driving sources of the current model, as sync wrote them or as a hand-written model declares them, and after them
    the lookups whose changes derive rows again.

    Args:
        relation (Relation): the argument of increment().
        incremental_key (str or none): its key, for a hand-written model.
    Returns: list of dict(source, relation: see files_of, table: the same as a Relation, pattern, key, key_name: the key as it
        is written, none for a managed source, managed, is_lookup, recompute_by, lookback_minutes, max_skew_minutes,
        removes_files: whether rows of files that are gone are removed, file_column: the column that names each row's file).
    Raises: when relation is no driving source.
-#}
{% macro driving_dependencies(relation, incremental_key) %}
    {%- set driving = [] -%}
    {%- set lookups = [] -%}
    {%- for written in sluice.setting('dependencies', []) if written.driving or written.on_change == "restate" -%}
        {%- set is_ref = written.get("ref") is not none -%}
        {%- set its_relation = (
            ref(written.ref) if is_ref else source(written.source[0], written.source[1])
        ) -%}
        {%- do (driving if written.driving else lookups).append(sluice.dependency(written, its_relation)) -%}
    {%- endfor -%}
    {%- set rendered = sluice.whole_relation(relation) -%}
    {%- for dependency in driving if dependency.relation == rendered -%}
        {{ return(driving + lookups) }}
    {%- endfor -%}
    {%- if driving -%}
        {%- do sluice.raise_error(
            "increment",
            relation ~ " is no driving dependency of " ~ sluice.target_name() ~ ".",
            "Declare it with driving: true, or read it without sluice.increment().",
        ) -%}
    {%- endif -%}
    {{ return([sluice.undeclared_dependency(relation, incremental_key)]) }}
{% endmacro %}


{#- A declared dependency with its defaults filled in. -#}
{% macro dependency(written, relation) %}
    {%- set managed = written.get("managed", false) -%}
    {%- set groups = (config.get("meta") or {}).get("groups", {}) -%}  {#- sync writes what aliases mean -#}
    {%- set key = "_sluice_loaded_at" if managed else written.get("incremental_key") -%}
    {{
        return(
            {
                "source": written.table,
                "relation": sluice.whole_relation(relation),
                "table": relation,
                "pattern": sluice.listed_pattern(relation.render()),
                "key": sluice.quote_name(key) if key else none,
                "key_name": none if managed else key,
                "managed": managed,
                "is_lookup": not written.get("driving", true),
                "recompute_by": groups.get(written.table) or written.get("recompute_by") or [],
                "lookback_minutes": 0 if managed else (written.get("lookback_minutes") or 0),
                "max_skew_minutes": written.get("max_skew_minutes", 60),
                "removes_files": written.get("on_removed_files") == "remove",
                "file_column": written.get("file_column"),
            }
        )
    }}
{% endmacro %}


{#- The one driving source of a hand-written model that declares none: another Sluice target is managed, anything else
    has a key. -#}
{% macro undeclared_dependency(relation, incremental_key) %}
    {%- set upstream = namespace(node=none) -%}
    {%- for node in graph.nodes.values()
        if node.schema == relation.schema and (node.alias or node.name) == relation.identifier and
        node.resource_type == 'model'
    -%}
        {%- set upstream.node = node -%}
    {%- endfor -%}
    {%- set is_managed = upstream.node is not none and upstream.node.config.materialized in (
        "scd1",
        "scd2",
        "append",
    ) -%}
    {%- set written = upstream.node.config.get("meta", {}).get("sluice", {}) if is_managed else {} -%}
    {{
        return(
            sluice.dependency(
                {
                    "table": written.get("target") or relation.schema ~ "." ~ relation.identifier,
                    "managed": is_managed,
                    "incremental_key": incremental_key or sluice.setting("incremental_key"),
                    "recompute_by": sluice.list_setting("recompute_by"),
                    "lookback_minutes": sluice.setting("lookback_minutes", 0),
                    "max_skew_minutes": sluice.setting("max_skew_minutes", 60),
                },
                relation,
            )
        )
    }}
{% endmacro %}


{#- A relation as text, without the row limit that `--empty` puts on it. -#}
{% macro whole_relation(relation) %} {{ return(relation.render()) }} {% endmacro %}
