{#- Let the load read Spark's result instead of running the model's SELECT.

    The windows are those that Spark read: increment() takes them from the result.

    Args:
        load (dict): the load.
    Raises: with --full-refresh, which replaces all rows by those of one window.
-#}
{% macro take_result(load) %}
    {%- if should_full_refresh() -%}
        {%- do sluice.raise_error(
            "take_result",
            "SLUICE_RESULTS holds a window of "
            ~ load.target_name
            ~ ", and --full-refresh replaces all of it.",
            "Use one of them.",
        ) -%}
    {%- endif -%}
    {%- do load.update({"sql": sluice.result_sql(load, load.result)}) -%}
{% endmacro %}


{#- Stop when the warehouse read another number of rows than Spark wrote. -#}
{% macro check_result(load, row_count) %}
    {%- if row_count != load.result.row_count | int -%}
        {%- do sluice.raise_error(
            load.type,
            "the result of Spark for "
            ~ load.target_name
            ~ " holds "
            ~ load.result.row_count
            ~ " rows by its manifest, and "
            ~ row_count
            ~ " were read from it. Nothing was written.",
            "Run it again. Nothing else may change files below output_path.",
        ) -%}
    {%- endif -%}
{% endmacro %}
