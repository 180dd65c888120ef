{#- Now in UTC, to the microsecond, without a zone. -#}
{% macro utc_now() %}
    {{ return(modules.datetime.datetime.now(modules.pytz.utc).replace(tzinfo=none)) }}
{% endmacro %}


{#- A timestamp as Sluice writes it: YYYY-MM-DD HH:MM:SS.ffffff. -#}
{% macro instant_text(instant) %} {{ return(instant.strftime("%Y-%m-%d %H:%M:%S.%f")) }} {% endmacro %}


{#- Parse a timestamp that Sluice wrote, or a date or ISO timestamp that a person wrote. A time zone must be UTC. -#}
{% macro parse_instant(text) %}
    {{ return(modules.datetime.datetime.fromisoformat(text).replace(tzinfo=none)) }}
{% endmacro %}
