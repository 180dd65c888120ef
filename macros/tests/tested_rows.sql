{#- What a data test of Sluice's reads. `dbt build`, which `sluice run` calls, tests what the last load wrote: its cost
    follows the increment. `dbt test` and `sluice verify` test the whole table, as does a test with a `where` of its own.

    Args:
        relation (Relation): the table under test.
        business_key (list of str): all rows of the keys that the last load wrote; without it only the rows that it wrote.
    Returns: the table, or a subselect of it with an alias.
-#}
{% macro tested_rows(relation, business_key=none) %}
    {%- set newest = sluice.newest_rows(relation) -%}
    {%- if newest is none -%} {{ return(relation) }} {%- endif -%}
    {#- with --sample, dbt reads a subselect, to which some adapters add an alias -#}
    {%- set relation = relation.replace(require_alias=false) -%}
    {%- if not business_key -%}
        {{ return("(select * from " ~ relation ~ " as stored where " ~ newest ~ ") as tested_rows") }}
    {%- endif -%}
    {%- set key = sluice.quoted(business_key) -%}
    {%- set touched = (
        "(select distinct "
        ~ sluice.columns(key)
        ~ " from "
        ~ relation
        ~ " as stored where "
        ~ newest
        ~ ")"
    ) -%}
    {{
        return(
            "(select stored.* from "
            ~ relation
            ~ " as stored join "
            ~ touched
            ~ " as touched on "
            ~ sluice.matches(key, "stored", "touched")
            ~ ") as tested_rows"
        )
    }}
{% endmacro %}


{#- Rows of the last load with a NULL in the key, which tested_rows does not find by their keys; none when it yields the
    whole table. -#}
{% macro unkeyed_rows(relation, business_key) %}
    {%- set newest = sluice.newest_rows(relation) -%}
    {%- if newest is none -%} {{ return(none) }} {%- endif -%}
    {{
        return(
            "(select * from "
            ~ relation.replace(require_alias=false)
            ~ " as stored where "
            ~ newest
            ~ " and ("
            ~ (sluice.quoted(business_key) | join(" is null or "))
            ~ " is null)) as unkeyed_rows"
        )
    }}
{% endmacro %}


{#- The condition of the rows that the last load of the tested model wrote; none when all rows are tested. -#}
{% macro newest_rows(relation) %}
    {#- inside a test, model is the argument of tested_rows; here it is the node of the test -#}
    {%- set tested = graph.nodes.get(model.attached_node) if execute and flags.WHICH == "build" and not flags.EMPTY -%}
    {%- if not tested or relation is string or tested.config.materialized not in (
        "scd1",
        "scd2",
        "append",
    ) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set written = (tested.config.meta or {}).get("sluice", {}).get("target") -%}
    {%- set name = written or tested.schema ~ "." ~ (tested.alias or tested.name) -%}
    {{
        return(
            "_sluice_loaded_at = (select loaded_at from " ~ sluice.companion_relation(name, "head") ~ ")"
        )
    }}
{% endmacro %}
