{#- Stop when a person changed what a load relies on: the table, or its head. -#}
{% macro check_target(load, existing, head) %}
    {%- if existing is not none and not existing.is_table -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " is a " ~ existing.type ~ ", not a table.",
            "Drop or rename it.",
        ) -%}
    {%- elif existing is not none and head is none -%}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " exists and was not made by Sluice (it has no " ~ load.head ~ ").",
            "Rename or drop the table; the next load makes it anew.",
        ) -%}
    {%- elif existing is none and head is not none and head.load_id != "none" and not should_full_refresh() and not sluice.is_there(
        load.relation
    ) -%}
        {#- a table that another load made since dbt listed what there is refuses to be made again, which is soft -#}
        {%- do sluice.raise_error(
            load.type,
            load.target_name ~ " is gone while its load log stands.",
            "Restore the table, or load it anew with --full-refresh.",
        ) -%}
    {%- endif -%}
{% endmacro %}
