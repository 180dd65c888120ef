{#- Cut the window of a source by its incremental key.

    The low end, which is part of the window, is the last watermark minus the lookback; in the first load it is
    backfill_start. The high end is the greatest key that is not in the future. It is read before the rows. A late row
    at or below the watermark does not raise the maximum, but it raises the number of rows in the lookback band.

    Args:
        window (dict): filled in here.
        dependency (dict): see driving_dependencies.
        kind (str): see key_kind.
        watermark (dict or none): see read_watermark.
-#}
{% macro capture_key_window(window, dependency, kind, watermark) %}
    {%- set last_end = watermark.end if watermark else none -%}
    {%- set backfill_start = sluice.setting("backfill_start") -%}
    {%- set start = none -%}
    {%- if last_end -%} {%- set start = sluice.minutes_before(last_end, dependency.lookback_minutes, kind) -%}
    {%- elif backfill_start is not none and not dependency.is_lookup -%}
        {%- set start = sluice.minutes_before(backfill_start | string, 0, kind) -%}
    {%- endif -%}
    {%- set newest = sluice.newest_key(dependency, kind, start, last_end) -%}
    {%- set end = newest.window_end -%}
    {%- do window.update(
        {
            "kind": kind,
            "start": start,
            "end": end,
            "lookback_count": newest.lookback_count,
            "future_count": newest.future_count,
            "unkeyed": sluice.unkeyed(dependency, newest.unkeyed_count),
            "new": end is not none
            and (end != last_end or newest.lookback_count != watermark.lookback_count),
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
    {%- if not sluice.misses_unkeyed(dependency) -%} {{ return(none) }} {%- endif -%}
    {%- call statement("sluice_unkeyed", fetch_result=true, auto_begin=false) -%}
        select count(*) as row_count
        from {{ sluice.files_of(dependency.relation) }}
        where {{ dependency.key }} is null
    {%- endcall -%}
    {{ return(sluice.unkeyed(dependency, load_result("sluice_unkeyed").table.rows[0][0] | int)) }}
{% endmacro %}


{#- Whether rows without a key are never read: not in a lookup, which is read as a whole, and not by increment: full. -#}
{% macro misses_unkeyed(dependency) %}
    {{ return(not dependency.is_lookup and sluice.setting("increment", "rows") != "full") }}
{% endmacro %}


{% macro unkeyed(dependency, row_count) %}
    {%- if not (row_count and sluice.misses_unkeyed(dependency)) -%} {{ return(none) }} {%- endif -%}
    {{
        return(
            {
                "relation": sluice.files_of(dependency.relation),
                "key": dependency.key,
                "row_count": row_count,
            }
        )
    }}
{% endmacro %}


{#- What a source holds from start on, by one statement.

    Args:
        last_end (str or none): the last watermark, below which the end does not go.
    Returns: dict(window_end: the greatest key that is not in the future, as text; future_count: rows in the future;
        unkeyed_count: rows whose key is NULL; lookback_count: rows of the lookback band below the end).
-#}
{% macro newest_key(dependency, kind, start, last_end) %}
    {%- call statement("sluice_newest_key", fetch_result=true, auto_begin=false) -%}
        {{ sluice.newest_key_sql(dependency, kind, start, last_end) }}
    {%- endcall -%}
    {%- set row = load_result("sluice_newest_key").table.rows[0] -%}
    {%- set end = row[0][3:] if row[0] is not none else none -%}
    {%- set is_counted = kind != "timestamp_ns" or end is none -%}
    {{
        return(
            {
                "window_end": end,
                "future_count": row[1] | int,
                "unkeyed_count": row[2] | int,
                "lookback_count": row[3] | int if is_counted else sluice.count_band(dependency, kind, end),
            }
        )
    }}
{% endmacro %}


{#- The band of keys of nanoseconds is counted by itself, because an end has microseconds. -#}
{% macro newest_key_sql(dependency, kind, start, last_end) -%}
    {%- set source = sluice.files_of(dependency.relation) -%}
    {%- set key = sluice.key_expression(dependency, kind) -%}
    {%- set greatest = sluice.greatest_accepted(dependency, kind) -%}
    {%- set first, last, limit = sluice.literals([start, last_end, greatest]) -%}
    {%- set accepted = (
        key if greatest is none else "case when " ~ key ~ " <= " ~ limit ~ " then " ~ key ~ " end"
    ) -%}
    {%- set from_start = key ~ " >= " ~ first -%}
    with
        newest as (
            select
                max({{ accepted }}) as greatest_key,
                {{
                    (
                        "0"
                        if greatest is none
                        else "coalesce(sum(case when " ~ key ~ " > " ~ limit ~ " then 1 else 0 end), 0)"
                    )
                }} as future_count,
                count(*) - count({{ key }}) as unkeyed_count
            from {{ source }}
            {%- if start is not none %} where {{ from_start }} or {{ key }} is null {%- endif %}
        ),

        ends as (
            select
                {%- if last_end is none %} greatest_key
                {%- else %}
                    case
                        when greatest_key >= {{ last }}
                        then greatest_key
                        else {{ sluice.typed_bound(last, kind) }}
                    end
                {%- endif %} as window_end,
                future_count,
                unkeyed_count
            from newest
        )

    select
        'is ' || {{ sluice.key_text("window_end", kind) }} as window_end,
        future_count,
        unkeyed_count,
        (
            select count(*)
            from {{ source }}
            where
                {{ key }}
                >= (select {{ sluice.band_start("window_end", dependency.lookback_minutes, kind) }} from ends)
                and {{ key }} <= (select window_end from ends)
                {%- if start is not none %} and {{ from_start }} {%- endif %}
        ) as lookback_count
    from ends
{%- endmacro %}


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
