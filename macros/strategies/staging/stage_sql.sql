{#- The statement that stages the SELECT: each column in the target's type, _sluice_deleted, and _sluice_reject, the
    reason why a row cannot be loaded. -#}
{% macro stage_sql(load) %}
    {%- set raw_types = {} -%}
    {%- for column in load.columns -%}
        {%- do raw_types.update({column.name: column.raw_type}) -%}
    {%- endfor -%}
    {%- set staged = [] -%}
    {%- for column in load.data_columns -%}
        {%- if column.name in load.yielded and raw_types[column.name] == column.type -%}
            {%- do staged.append(column.name) -%}
        {%- else -%} {%- do staged.append(sluice.staged_column(load, column, raw_types.get(column.name))) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set columns = [] -%}
    {%- for value in adapter.dispatch("normal_values", "sluice")(staged, load.data_columns) -%}
        {%- set name = load.data_columns[loop.index0].name -%}
        {%- do columns.append(value if value == name else value ~ " as " ~ name) -%}
    {%- endfor -%}
    {%- set is_delete = (
        "case when " ~ load.delete_when ~ " then 1 else 0 end" if load.delete_when else "0"
    ) -%}
    {%- do columns.append("cast(" ~ is_delete ~ " as smallint) as _sluice_deleted") -%}
    {%- do columns.append(sluice.reject_reason(load) ~ " as _sluice_reject") -%}
    {%- set create = ("create temporary table sluice_stage " ~ sluice.table_options(load)) | trim -%}
    {#- the SELECT is not reformatted: a literal in it may span lines -#}
    {{
        return(
            create ~ " as\nwith sluice_selected as (\n" ~ load.sql ~ "\n)\n\nselect\n    " ~ columns
            | join(",\n    ") ~ "\nfrom sluice_selected"
        )
    }}
{% endmacro %}


{#- The expression of a staged column that the SELECT does not yield in its type. -#}
{% macro staged_column(load, column, raw_type) %}
    {%- if column.name == "_sluice_effective_at" and not load.is_rekeyed -%}
        {{ return("cast(" ~ sluice.literal(load.loaded_at) ~ " as timestamp)") }}
    {%- elif column.name == "_sluice_definition" and not load.is_rekeyed -%}
        {{ return("cast(" ~ load.definition_number ~ " as integer)") }}
    {%- elif column.name not in load.yielded -%} {{ return("cast(null as " ~ column.type ~ ")") }}
    {%- endif -%}
    {{ return(sluice.cast_value(column.name, column.type, raw_type)) }}
{% endmacro %}


{#- Values in the one form of those that are equal and not identical: the result must not depend on which of them comes
    first. Minus zero becomes zero, a PostgreSQL numeric without a scale loses its final zeros, and text on Redshift the
    blanks at its end.

    Args:
        values (list of str): an expression for each column.
        columns (list of dict(name, type)): the columns.
-#}
{% macro default__normal_values(values, columns) %}
    {%- set normal = [] -%}
    {%- for value in values -%}
        {%- set type = columns[loop.index0].type -%}
        {%- set is_float = type in ("float", "double", "real", "double precision") -%}
        {%- do normal.append("cast(" ~ value ~ " + 0 as " ~ type ~ ")" if is_float else value) -%}
    {%- endfor -%}
    {{ return(normal) }}
{% endmacro %}

{% macro postgres__normal_values(values, columns) %}
    {%- set normal = [] -%}
    {%- for value in sluice.default__normal_values(values, columns) -%}
        {%- set is_unsized = columns[loop.index0].type == "numeric" -%}
        {%- do normal.append("trim_scale(" ~ value ~ ")" if is_unsized else value) -%}
    {%- endfor -%}
    {{ return(normal) }}
{% endmacro %}

{#- Redshift ignores blanks at the end of text when it compares: ADR 24. -#}
{% macro redshift__normal_values(values, columns) %}
    {%- set normal = [] -%}
    {%- for value in sluice.default__normal_values(values, columns) -%}
        {%- set type = columns[loop.index0].type -%}
        {%- set is_padded = sluice.type_parts(type)[0] in ("char", "character", "bpchar") -%}
        {%- set is_trimmed = sluice.is_text(type) and not is_padded -%}
        {%- do normal.append("cast(rtrim(" ~ value ~ ") as " ~ type ~ ")" if is_trimmed else value) -%}
    {%- endfor -%}
    {{ return(normal) }}
{% endmacro %}


{#- The reason why a row cannot be loaded; NULL for a row that can be loaded. -#}
{% macro reject_reason(load) %}
    {%- set reasons = [] -%}
    {%- for cast in load.casts -%}
        {%- set value = sluice.cast_value(cast.name, cast.type, cast.raw_type) -%}
        {%- do reasons.append(
            "when "
            ~ cast.name
            ~ " is not null and "
            ~ value
            ~ " is null then "
            ~ sluice.literal(cast.name ~ " does not cast to " ~ cast.type ~ ": ")
            ~ " || substring("
            ~ sluice.as_text(cast.name, cast.raw_type, 1000)
            ~ ", 1, 200)"
        ) -%}
    {%- endfor -%}
    {%- set needed = (
        load.key
        + ([] if load.is_load_timed else [load.at])
        + ([load.range_key] if load.range_key else [])
    ) -%}
    {%- if load.mode == "rows" and not load.is_rekeyed and sluice.setting(
        "incremental_key"
    ) in load.yielded -%}
        {%- do needed.append(sluice.setting("incremental_key")) -%}
    {%- endif -%}
    {%- for name in needed | unique -%}
        {%- do reasons.append("when " ~ name ~ " is null then " ~ sluice.literal(name ~ " is NULL")) -%}
    {%- endfor -%}
    {{
        return(
            "cast("
            ~ ("case\n        " ~ reasons | join("\n        ") ~ "\n    end" if reasons else "null")
            ~ " as varchar(2000))"
        )
    }}
{% endmacro %}


{#- The clauses of CREATE TABLE that lay out the rows of a target. -#}
{% macro table_options(load) %} {{ return(adapter.dispatch("table_options", "sluice")(load)) }} {% endmacro %}

{% macro default__table_options(load) %} {{ return("") }} {% endmacro %}

{#- Loads join target, side table and staged rows by key. The same DISTKEY keeps these joins local to a node. The
    settings distkey and sortkey replace the business key. -#}
{% macro redshift__table_options(load) %}
    {%- set asked = sluice.setting("distkey") -%}
    {%- set spread = asked if asked in ("all", "even") else none -%}
    {%- set distkey = (
        sluice.find_columns(load, "distkey", [asked] if asked and not spread else [])
        or load.key[:1]
    ) -%}
    {%- set sortkey = sluice.find_columns(load, "sortkey", sluice.list_setting("sortkey")) -%}
    {%- if not sortkey and load.key -%} {%- set sortkey = load.key + [load.at] -%} {%- endif -%}
    {%- set options = [] -%}
    {%- if spread -%} {%- do options.append("diststyle " ~ spread) -%}
    {%- elif distkey -%} {%- do options.append("diststyle key distkey (" ~ distkey[0] ~ ")") -%}
    {%- endif -%}
    {%- if sortkey -%} {%- do options.append("sortkey (" ~ sluice.columns(sortkey) ~ ")") -%} {%- endif -%}
    {{ return(options | join(" ")) }}
{% endmacro %}
