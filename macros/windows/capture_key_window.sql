{#- Cut the window of a source by its incremental key.

    The low end, which is part of the window, is the last watermark minus the lookback; in the first load it is
    backfill_start. The high end is the greatest key that is not in the future. It is read before the rows. A late row
    at or below the watermark does not raise the maximum, but it raises the number of rows in the lookback band.

    Args:
        window (dict): filled in here.
        dependency (dict): see driving_dependencies.
        watermark (dict or none): see read_watermark.
-#}
{% macro capture_key_window(window, dependency, watermark) %}
    {%- set kind = sluice.key_kind(dependency) -%}
    {%- set last_end = watermark.end if watermark else none -%}
    {%- set backfill_start = sluice.setting("backfill_start") -%}
    {%- set start = none -%}
    {%- if last_end -%} {%- set start = sluice.minutes_before(last_end, dependency.lookback_minutes, kind) -%}
    {%- elif backfill_start is not none and not dependency.is_lookup -%}
        {%- set start = sluice.minutes_before(backfill_start | string, 0, kind) -%}
    {%- endif -%}
    {%- set newest = sluice.newest_key(dependency, kind, start) -%}
    {%- set end = newest.window_end if newest.window_end is not none else last_end -%}
    {%- if end is not none and last_end is not none and sluice.is_lower(end, last_end, kind) -%}
        {%- set end = last_end -%}
    {%- endif -%}
    {%- set count = sluice.count_band(dependency, kind, end) if end is not none else 0 -%}
    {%- do window.update(
        {
            "kind": kind,
            "start": start,
            "end": end,
            "lookback_count": count,
            "future_count": newest.future_count,
            "unkeyed": none if dependency.is_lookup else sluice.find_unkeyed(dependency),
            "new": end is not none and (end != last_end or count != watermark.lookback_count),
        }
    ) -%}
    {%- do sluice.warn_of_future_rows(window, dependency) -%}
{% endmacro %}


{% macro warn_of_future_rows(window, dependency) %}
    {%- if window.future_count -%}
        {%- do exceptions.warn(
            "sluice.increment: "
            ~ window.future_count
            ~ " rows of "
            ~ dependency.source
            ~ " are more than "
            ~ dependency.max_skew_minutes
            ~ " minutes in the future ("
            ~ dependency.key
            ~ ") and were not loaded."
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- The greatest key that is not in the future, as text; none: every key is accepted. -#}
{% macro greatest_accepted(dependency, kind) %}
    {%- if kind == "integer" or dependency.max_skew_minutes is none -%} {{ return(none) }} {%- endif -%}
    {{
        return(
            sluice.minutes_before(sluice.instant_text(sluice.utc_now()), -dependency.max_skew_minutes, kind)
        )
    }}
{% endmacro %}


{#- The rows whose key is NULL: dict(relation, key, row_count) or none. They are in no window, but increment: full
    reads them. -#}
{% macro find_unkeyed(dependency) %}
    {%- if sluice.setting("increment", "rows") == "full" -%} {{ return(none) }} {%- endif -%}
    {%- set relation = sluice.files_of(dependency.relation) -%}
    {%- call statement("sluice_unkeyed", fetch_result=true, auto_begin=false) -%}
        select count(*) as row_count from {{ relation }} where {{ dependency.key }} is null
    {%- endcall -%}
    {%- set row_count = load_result("sluice_unkeyed").table.rows[0][0] | int -%}
    {{
        return(
            {"relation": relation, "key": dependency.key, "row_count": row_count} if row_count else none
        )
    }}
{% endmacro %}


{#- The greatest key from start on that is not in the future, and the number of rows in the future: dict(window_end,
    future_count). -#}
{% macro newest_key(dependency, kind, start) %}
    {%- set key = sluice.key_expression(dependency, kind) -%}
    {%- set greatest = sluice.greatest_accepted(dependency, kind) -%}
    {%- set has_limit = greatest is not none -%}
    {%- set limit = sluice.literal(greatest) -%}
    {%- call statement("sluice_newest_key", fetch_result=true, auto_begin=false) -%}
        select
            {%- if has_limit %}
                'is '
                || {{
                    sluice.key_text(
                        "max(case when " ~ key ~ " <= " ~ limit ~ " then " ~ key ~ " end)", kind
                    )
                }} as window_end,
                coalesce(sum(case when {{ key }} > {{ limit }} then 1 else 0 end), 0) as future_count
            {%- else %}
                'is ' || {{ sluice.key_text("max(" ~ key ~ ")", kind) }} as window_end, 0 as future_count
            {%- endif %}
        from {{ sluice.files_of(dependency.relation) }}
        {%- if start is not none %} where {{ key }} >= {{ sluice.literal(start) }} {%- endif %}
    {%- endcall -%}
    {%- set row = load_result("sluice_newest_key").table.rows[0] -%}
    {{ return({"window_end": row[0][3:] if row[0] is not none else none, "future_count": row[1] | int}) }}
{% endmacro %}


{#- The number of rows in the lookback band below end. -#}
{% macro count_band(dependency, kind, end) %}
    {%- set band = {
        "kind": kind,
        "start": sluice.minutes_before(end, dependency.lookback_minutes, kind),
        "end": end,
        "is_open": false,
    } -%}
    {%- call statement("sluice_band", fetch_result=true, auto_begin=false) -%}
        select count(*) as lookback_count
        from {{ sluice.files_of(dependency.relation) }}
        where {{ sluice.window_condition(dependency, band) }}
    {%- endcall -%}
    {{ return(load_result("sluice_band").table.rows[0][0] | int) }}
{% endmacro %}
