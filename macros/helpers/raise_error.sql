{#- Stop with a message that names the macro, what happened to which target, and what to do.

    Args:
        place (str): the macro, without `sluice.`.
        what (str): what happened, to which target or column.
        remedy (str): what to do about it.
    Raises: compilation error "sluice.<place>: <what> <remedy>".
-#}
{% macro raise_error(place, what, remedy) %}
    {%- do exceptions.raise_compiler_error("sluice." ~ place ~ ": " ~ what ~ " " ~ remedy) -%}
{% endmacro %}
