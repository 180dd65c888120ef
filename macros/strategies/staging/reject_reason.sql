{#- Why a row cannot be loaded, NULL for a row that can. -#}
{% macro reject_reason(load) %}
    {%- set reasons = [] -%}
    {%- for column in load.columns if column.raw_type not in (none, load.types[column.name]) -%}
        {%- set type = load.types[column.name] -%}
        {%- set value = sluice.cast_value(column.name, type, column.raw_type) -%}
        {%- do reasons.append(
            "when "
            ~ column.name
            ~ " is not null and "
            ~ value
            ~ " is null then "
            ~ sluice.literal(column.name ~ " does not cast to " ~ type ~ ": ")
            ~ " || substring("
            ~ sluice.as_text(column.name, column.raw_type, 1000)
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
