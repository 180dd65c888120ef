{#- A value of an incremental key as text for logs and windows, in UTC and to the microsecond.

    Args:
        expression (str): SQL that yields the value.
        kind (str): see key_kind.
    Returns: str, an SQL expression.
-#}
{% macro key_text(expression, kind) %}
    {%- if kind == "timestamptz" -%}
        {{
            return(
                adapter.dispatch("instant_as_text", "sluice")(
                    adapter.dispatch("in_utc", "sluice")(expression)
                )
                ~ " || '+00'"
            )
        }}
    {%- elif kind in ("timestamp", "timestamp_ns") -%}
        {{ return(adapter.dispatch("instant_as_text", "sluice")(expression)) }}
    {%- endif -%}
    {{ return("cast(" ~ expression ~ " as varchar(128))") }}
{% endmacro %}

{% macro default__instant_as_text(expression) %}
    {{ return("to_char(" ~ expression ~ ", 'YYYY-MM-DD HH24:MI:SS.US')") }}
{% endmacro %}

{% macro duckdb__instant_as_text(expression) %}
    {{ return("strftime(" ~ expression ~ ", '%Y-%m-%d %H:%M:%S.%f')") }}
{% endmacro %}

{#- A timestamp with time zone as the same time in UTC, without a zone. -#}
{% macro default__in_utc(expression) %} {{ return(expression ~ " at time zone 'UTC'") }} {% endmacro %}

{#- DuckDB's AT TIME ZONE needs the icu extension, which an installation may lack. -#}
{% macro duckdb__in_utc(expression) %}
    {{ return("make_timestamp(epoch_us(" ~ expression ~ "))") }}
{% endmacro %}


{#- The kind of values of a source's incremental key.

    Args:
        dependency (dict): the driving dependency (see driving_dependencies).
        known_type (str or none): the type of its key, when the catalog has told it; else the source is described.
    Returns: str, integer | date | timestamp | timestamp_ns | timestamptz.
    Raises: when the key is of another type.
-#}
{% macro key_kind(dependency, known_type=none) %}
    {%- if dependency.managed -%} {{ return("timestamp") }} {%- endif -%}
    {%- set type = known_type or sluice.key_type(dependency) -%}
    {%- set kind = sluice.kind_of_key(type) -%}
    {%- if kind is not none -%} {{ return(kind) }} {%- endif -%}
    {%- do sluice.raise_error(
        "increment",
        "incremental_key "
        ~ dependency.key
        ~ " of "
        ~ dependency.source
        ~ " is "
        ~ type
        ~ ", which cannot cut windows.",
        "Use a timestamp, date or integer column, or remove the key and read the source in full.",
    ) -%}
{% endmacro %}


{% macro key_type(dependency) %}
    {%- set query = "select " ~ dependency.key ~ " as sluice_key from " ~ sluice.example_of(dependency) -%}
    {{ return(sluice.describe_query(query, "sluice_key_shape")[0].type) }}
{% endmacro %}


{#- The kind of key that a type makes; none when it cannot cut windows. metadata_sync/sql/type_rules.py decides the
    same, and a test compares both. -#}
{% macro kind_of_key(type) %}
    {%- set name = modules.re.sub(" *\\([0-9, ]+\\)", "", type) -%}
    {%- if name in ("timestamp with time zone", "timestamptz") -%} {{ return("timestamptz") }}
    {%- elif name == "timestamp_ns" -%} {{ return("timestamp_ns") }}
    {%- elif name in (
        "timestamp",
        "timestamp without time zone",
        "timestamp_s",
        "timestamp_ms",
    ) -%}
        {{ return("timestamp") }}
    {%- elif name == "date" -%} {{ return("date") }}
    {%- elif name in (
        "tinyint",
        "smallint",
        "integer",
        "bigint",
        "hugeint",
        "utinyint",
        "usmallint",
        "uinteger",
        "ubigint",
        "uhugeint",
    ) -%}
        {{ return("integer") }}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}


{#- Move a bound down by some minutes. A date moves by whole days, an integer does not move.

    Args:
        bound (str): bound, or any timestamp, as text.
        minutes (int): how far down; negative moves it up.
        kind (str): see key_kind.
    Returns: str, a bound of that kind; for a date, the day of the earlier timestamp.
-#}
{% macro minutes_before(bound, minutes, kind) %}
    {%- if kind == "integer" -%} {{ return(bound) }} {%- endif -%}
    {%- set earlier = sluice.parse_instant(bound) - modules.datetime.timedelta(minutes=minutes) -%}
    {%- if kind == "date" -%} {{ return(earlier.strftime("%Y-%m-%d")) }} {%- endif -%}
    {{ return(sluice.instant_text(earlier) ~ ("+00" if kind == "timestamptz" else "")) }}
{% endmacro %}


{#- A bound, a literal, in the type of a key. -#}
{% macro typed_bound(literal, kind) %}
    {{
        return(
            literal | replace("'", "") if kind == "integer" else "cast(" ~ literal ~ " as " ~ kind ~ ")"
        )
    }}
{% endmacro %}


{#- minutes_before in SQL: the beginning of the lookback band below an end. -#}
{% macro band_start(end, minutes, kind) %}
    {%- if kind == "integer" or not minutes -%} {{ return(end) }} {%- endif -%}
    {%- set earlier = end ~ " - interval '" ~ minutes ~ " minutes'" -%}
    {{ return("cast(" ~ earlier ~ " as date)" if kind == "date" else earlier) }}
{% endmacro %}


{#- The condition that selects the rows of a window. -#}
{% macro window_condition(dependency, window) %}
    {%- if window.kind is none -%}
        {{ return("1 = 1" if window.new and not window.reads_nothing else "1 = 0") }}
    {%- elif window.end is none -%} {{ return("1 = 0") }}
    {%- endif -%}
    {%- set key = sluice.key_expression(dependency, window.kind) -%}
    {%- set start, end = sluice.literals([window.start, window.end]) -%}
    {%- set low_end = key ~ (" > " if window.is_open else " >= ") ~ start ~ " and " -%}
    {%- if window.kind == "timestamp_ns" -%}
        {#- bounds have microseconds: the window ends with the last nanosecond of its last microsecond -#}
        {%- set after = sluice.parse_instant(window.end) + modules.datetime.timedelta(microseconds=1) -%}
        {%- set high_end = key ~ " < " ~ sluice.literal(sluice.instant_text(after)) -%}
    {%- else -%} {%- set high_end = key ~ " <= " ~ end -%}
    {%- endif -%}
    {{ return((low_end if window.start is not none else "") ~ high_end) }}
{% endmacro %}


{#- The key expression that bounds are compared with. -#}
{% macro key_expression(dependency, kind) %}
    {{ return(adapter.dispatch("key_expression", "sluice")(dependency, kind)) }}
{% endmacro %}

{% macro default__key_expression(dependency, kind) %} {{ return(dependency.key) }} {% endmacro %}


{#- Whether one bound is lower than another. The text of timestamps and dates sorts as the values do. -#}
{% macro is_lower(left, right, kind) %}
    {{ return((left | int) < (right | int) if kind == "integer" else left < right) }}
{% endmacro %}
