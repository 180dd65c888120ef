{#- Now in UTC, to the microsecond, without a zone. -#}
{% macro utc_now() %}
    {{ return(modules.datetime.datetime.now(modules.pytz.utc).replace(tzinfo=none)) }}
{% endmacro %}


{#- An instant as Sluice writes it: YYYY-MM-DD HH:MM:SS.ffffff. -#}
{% macro instant_text(instant) %} {{ return(instant.strftime("%Y-%m-%d %H:%M:%S.%f")) }} {% endmacro %}


{#- Read an instant that Sluice wrote, or that a person wrote as a date or ISO timestamp; a zone must be UTC's. -#}
{% macro parse_instant(text) %}
    {{ return(modules.datetime.datetime.fromisoformat(text).replace(tzinfo=none)) }}
{% endmacro %}
