{#- The SELECT, each column in the target's type, with what decides over the row: is it a delete, is it fit to
    be loaded. -#}
{% macro stage_sql(load) %}
    {%- set columns = [] -%}
    {%- for column in load.data_columns -%}
        {%- set value = sluice.staged_column(load, column) -%}
        {%- do columns.append(value if value == column.name else value ~ " as " ~ column.name) -%}
    {%- endfor -%}
    {%- set is_delete = (
        "case when " ~ load.delete_when ~ " then 1 else 0 end" if load.delete_when else "0"
    ) -%}
    {%- do columns.append("cast(" ~ is_delete ~ " as smallint) as _sluice_deleted") -%}
    {%- do columns.append(sluice.reject_reason(load) ~ " as _sluice_reject") -%}
    {%- set create = ("create temporary table sluice_stage " ~ sluice.table_options(load)) | trim -%}
    {#- the SELECT stays letter for letter: a literal in it may span lines -#}
    {{
        return(
            create ~ " as\nwith sluice_selected as (\n" ~ load.sql ~ "\n)\n\nselect\n    " ~ columns
            | join(",\n    ") ~ "\nfrom sluice_selected"
        )
    }}
{% endmacro %}


{#- One column of the stage. Minus zero becomes zero: the two are equal, and a result must not depend on which
    came first. -#}
{% macro staged_column(load, column) %}
    {%- set raw_type = sluice.raw_type(load, column.name) -%}
    {%- if column.name == "_sluice_effective_at" and not load.is_rekeyed -%}
        {{ return("cast(" ~ sluice.literal(load.loaded_at) ~ " as timestamp)") }}
    {%- elif column.name not in load.yielded -%} {{ return("cast(null as " ~ column.type ~ ")") }}
    {%- endif -%}
    {%- set value = sluice.cast_value(column.name, column.type, raw_type) -%}
    {%- if column.type in ("float", "double", "real", "double precision") -%}
        {{ return("cast(" ~ value ~ " + 0 as " ~ column.type ~ ")") }}
    {%- endif -%}
    {{ return(value) }}
{% endmacro %}


{% macro raw_type(load, name) %}
    {%- for column in load.columns if column.name == name -%} {{ return(column.raw_type) }} {%- endfor -%}
    {{ return(none) }}
{% endmacro %}
