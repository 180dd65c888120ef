{#- Compute the versions of an SCD2 target from all of its events, into sluice_expected. -#}
{% macro stage_expected_versions(load) %}
    {%- do load.update({"yielded": load.data}) -%}
    {%- set events_sql -%}
        select {{ sluice.columns(load.data) }}, cast(0 as smallint) as _sluice_deleted, 1 as _sluice_is_stored
        from {{ load.relation }}
        union all
        select {{ sluice.columns(load.data) }}, _sluice_deleted, 1
        from {{ load.side }}
    {%- endset -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_event",
        "every event of the ledger",
        "select * from "
        ~ sluice.nested(events_sql)
        ~ " as events where "
        ~ sluice.all_known(load),
    ) -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_history",
        "one per key and time",
        "select "
        ~ sluice.columns(load.data)
        ~ ", _sluice_deleted, "
        ~ load.at
        ~ " as _sluice_run_from\nfrom "
        ~ sluice.nested(sluice.winners_sql(load, "select * from sluice_event"))
        ~ " as winners",
    ) -%}
    {%- do sluice.stage_versions(load) -%}
    {%- set version = sluice.columns(load.data) ~ ", valid_from, valid_to" -%}
    {%- set expected = (
        "select "
        ~ version
        ~ ", valid_to is null as is_current\nfrom sluice_version\nwhere _sluice_is_end = 1 and _sluice_deleted = 0"
    ) -%}
    {%- set standing = (
        "select "
        ~ version
        ~ ", is_current\nfrom "
        ~ load.relation
        ~ "\nwhere "
        ~ sluice.all_known(load)
        ~ " and valid_from is not null"
    ) -%}
    {%- do sluice.run_temporary(
        load, "sluice_expected", "versions that are missing", expected ~ "\nexcept\n" ~ standing
    ) -%}
    {%- do sluice.run_temporary(
        load,
        "sluice_standing",
        "versions that the ledger does not give",
        standing ~ "\nexcept\n" ~ expected,
    ) -%}
{% endmacro %}


{% macro all_known(load) %}
    {%- set terms = [] -%}
    {%- for name in load.key + [load.at] -%} {%- do terms.append(name ~ " is not null") -%} {%- endfor -%}
    {{ return(terms | join(" and ")) }}
{% endmacro %}
