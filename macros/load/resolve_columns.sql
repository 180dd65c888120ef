{#- Assign every column of the target its role in the load.

    Sets data (names in order), types, yielded, key, at, tie_breakers, tracked, compared, casts, delete_when, on_tie
    and definition.

    Raises: when a setting names a column that the SELECT does not yield, or the key or sequence changed.
-#}
{% macro resolve_columns(load) %}
    {%- set types = {} -%}
    {%- for column in load.data_columns -%} {%- do types.update({column.name: column.type}) -%} {%- endfor -%}
    {%- do load.update(
        {
            "data": types | list,
            "types": types,
            "yielded": load.columns | map(attribute="name") | list,
        }
    ) -%}
    {%- set key = sluice.find_columns(load, "business_key", sluice.list_setting("business_key")) -%}
    {%- set sequence = sluice.find_columns(load, "sequence_by", load.sequence) -%}
    {%- set at = "_sluice_effective_at" if load.is_load_timed else sequence[0] -%}
    {%- set ties = sequence if load.is_load_timed else sequence[1:] -%}
    {%- set apart = key + [at] -%}
    {%- set tracked = sluice.find_columns(load, "scd_columns", sluice.list_setting("scd_columns")) -%}
    {%- if not tracked -%}
        {%- set tracked = load.yielded | reject("in", apart + ties + ["_sluice_definition"]) | list -%}
    {%- endif -%}
    {%- do load.update(
        {
            "key": key,
            "at": at,
            "tie_breakers": ties | reject("in", key) | list,
            "tracked": tracked,
            "compared": load.yielded | reject("in", apart) | list,
            "casts": sluice.changed_types(load),
            "delete_when": sluice.setting("delete_when"),
            "on_tie": sluice.setting("on_tie", "warn"),
        }
    ) -%}
    {%- do load.update({"definition": sluice.definition(load, [at] if load.is_load_timed else sequence)}) -%}
    {%- do sluice.check_settings(load) -%}
{% endmacro %}


{#- The columns that a load casts, because the SELECT yields another type than the target holds: list of dict(name,
    raw_type, type). -#}
{% macro changed_types(load) %}
    {%- set casts = [] -%}
    {%- for column in load.columns if column.raw_type not in (none, load.types[column.name]) -%}
        {%- do casts.append(
            {"name": column.name, "raw_type": column.raw_type, "type": load.types[column.name]}
        ) -%}
    {%- endfor -%}
    {{ return(casts) }}
{% endmacro %}


{#- The columns that a setting names, as the SELECT spells and quotes them. -#}
{% macro find_columns(load, setting_name, names) %}
    {%- set found = [] -%}
    {%- set columns = {} -%}
    {%- for column in load.yielded | reverse if names -%}
        {%- do columns.update({column | replace('"', "") | lower: column}) -%}
    {%- endfor -%}
    {%- for name in names -%}
        {%- if name | lower not in columns -%}
            {%- do sluice.raise_error(
                load.type,
                setting_name
                ~ " of "
                ~ load.target_name
                ~ " names "
                ~ name
                ~ ", which the SELECT does not yield (it yields "
                ~ (load.yielded | reject("equalto", "_sluice_definition"))
                | join(", ") ~ ").",
                "Correct the name or the SELECT.",
            ) -%}
        {%- endif -%}
        {%- do found.append(columns[name | lower]) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}
