{#- Apply actions of ALTER TABLE to target and side table, and commit. -#}
{% macro change_tables(load, changes) %}
    {% do adapter.dispatch("change_tables", "sluice")(load, changes) %}
{% endmacro %}

{% macro default__change_tables(load, changes) %}
    {%- set statements = [] -%}
    {%- for change in changes -%}
        {%- do statements.append("alter table " ~ load.relation ~ " " ~ change) -%}
        {%- do statements.append("alter table " ~ load.side ~ " " ~ change) -%}
    {%- endfor -%}
    {%- do sluice.run_change(load, statements | join(";\n")) -%}
{% endmacro %}

{#- Redshift alters a type only outside of a transaction (ALTER TABLE in its SQL reference), so a probe cannot try it.
    The side table is altered first: when a load stops in between, the target is unchanged and the next load alters
    both. -#}
{% macro redshift__change_tables(load, changes) %}
    {%- set additions = [] -%}
    {%- for change in changes if change.startswith("add column ") -%}
        {%- do additions.append(change) -%}
    {%- endfor -%}
    {%- for change in changes if change not in additions and not sluice.is_probe() -%}
        {%- for relation in (load.side, load.relation) -%}
            {%- call statement("sluice_evolve", auto_begin=false) -%}
                alter table {{ relation }} {{ change }}
            {%- endcall -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if additions -%} {%- do sluice.default__change_tables(load, additions) -%} {%- endif -%}
{% endmacro %}
