{#- Run one staging statement outside the write transaction and keep its text for target/run.

    Args:
        load (dict): the load (see describe_load).
        title (str): what the statement makes.
        statement_sql (str): the SQL.
-#}
{% macro run_step(load, title, statement_sql) %}
    {%- do sluice.keep_text(load, title, statement_sql) -%}
    {%- call statement("sluice_step", auto_begin=false) -%} {{ statement_sql }} {%- endcall -%}
{% endmacro %}


{#- Create a temporary table from a query of Sluice's. -#}
{% macro run_temporary(load, name, title, query_sql) %}
    {%- do sluice.create_temporary(
        load, name, title, "create temporary table " ~ name ~ " as\n" ~ sluice.dedent(query_sql)
    ) -%}
{% endmacro %}


{#- Create a temporary table by its statement. The name is dropped first, in the same call, unless clear_temporaries dropped
    all: several models use one connection in turn, and an earlier one may have failed. -#}
{% macro create_temporary(load, name, title, create_sql) %}
    {%- set statements = sluice.fresh_sql(load, name, create_sql) -%}
    {%- do sluice.keep_text(load, title, statements | join(";\n")) -%}
    {%- call statement("sluice_step", auto_begin=false) -%} {{ statements | join(";\n") }} {%- endcall -%}
{% endmacro %}


{#- The statements that create a temporary table, for a call that runs others as well: list of str. -#}
{% macro temporary_sql(load, name, query_sql) %}
    {%- set create_sql = "create temporary table " ~ name ~ " as\n" ~ sluice.dedent(query_sql) -%}
    {{ return(sluice.fresh_sql(load, name, create_sql)) }}
{% endmacro %}


{% macro fresh_sql(load, name, create_sql) %}
    {%- set is_free = load.is_cleared and name not in load.temporaries -%}
    {%- do load.temporaries.append(name) -%}
    {{ return([create_sql] if is_free else ["drop table if exists " ~ name, create_sql]) }}
{% endmacro %}


{#- Drop what earlier loads left in this session. On Redshift each statement costs a round trip, so one at the beginning
    takes the place of one before each table, and of one at the end: the next load, or the end of the session, drops this
    load's tables. -#}
{% macro clear_temporaries(load) %}
    {% do adapter.dispatch("clear_temporaries", "sluice")(load) %}
{% endmacro %}

{% macro default__clear_temporaries(load) %} {% endmacro %}

{% macro redshift__clear_temporaries(load) %}
    {%- do sluice.run_step(
        load,
        "tables of earlier loads",
        sluice.default__drop_tables_sql(sluice.temporary_names() + [sluice.shape_name()]),
    ) -%}
    {%- do load.update({"is_cleared": true}) -%}
{% endmacro %}


{#- The temporary tables of all loads; a test compares them with the macros. -#}
{% macro temporary_names() %}
    {%- set lines = [
        "sluice_absent sluice_anchor sluice_busy sluice_changed sluice_difference sluice_event",
        "sluice_expected sluice_filled sluice_fresh sluice_gone sluice_history sluice_ledger",
        "sluice_loser sluice_redone sluice_reject sluice_restated sluice_result",
        "sluice_side_before sluice_side_gone sluice_side_new sluice_stage sluice_standing sluice_start",
        "sluice_tie sluice_touched sluice_version sluice_version_before sluice_version_gone",
        "sluice_version_new sluice_void sluice_winner",
    ] -%}
    {{ return((lines | join(" ")).split(" ")) }}
{% endmacro %}


{#- Run a SELECT that yields one row of numbers.

    Returns: dict, column name (lower case) to int; NULL counts as 0.
-#}
{% macro run_counts(load, title, query_sql) %}
    {%- do sluice.keep_text(load, title, sluice.dedent(query_sql)) -%}
    {%- call statement("sluice_counts", fetch_result=true, auto_begin=false) -%}
        {{ query_sql }}
    {%- endcall -%}
    {%- set table = load_result("sluice_counts").table -%}
    {%- set counts = {} -%}
    {%- for name in table.column_names -%}
        {%- do counts.update({name | lower: (table.rows[0][loop.index0] or 0) | int}) -%}
    {%- endfor -%}
    {{ return(counts) }}
{% endmacro %}


{% macro keep_text(load, title, text) %}
    {%- if title -%} {%- do load.script.append("\n-- " ~ title) -%} {%- endif -%}
    {%- do load.script.append(modules.re.sub("\n\\s*\n+", "\n", text | trim) ~ ";") -%}
{% endmacro %}


{#- Sluice's SQL without the indentation of its macro file. Never for a user's SQL: a literal may span lines.

    Args:
        text (str): SQL whose first line is not indented and whose other lines share an indentation.
    Returns: str.
-#}
{% macro dedent(text) %}
    {%- set lines = (text | trim).split("\n") -%}
    {%- set shared = namespace(width=1000) -%}
    {%- for line in lines[1:] if line | trim -%}
        {%- set shared.width = [shared.width, (line | length) - (line.lstrip() | length)] | min -%}
    {%- endfor -%}
    {%- set kept = [lines[0]] -%}
    {%- for line in lines[1:] if line | trim -%} {%- do kept.append(line[shared.width :]) -%} {%- endfor -%}
    {{ return(kept | join("\n")) }}
{% endmacro %}


{#- A query between parentheses, on lines of its own.

    Args:
        query_sql (str): Sluice's SQL.
        width (int): indentation of the line of the parentheses in the macro file.
-#}
{% macro nested(query_sql, width=4) %}
    {%- set lines = sluice.dedent(query_sql) | indent(width + 4, first=true) -%}
    {{ return("(\n" ~ lines ~ "\n" ~ " " * width ~ ")") }}
{% endmacro %}


{#- Queries that a set operator combines. -#}
{% macro combined(queries, operator) %}
    {%- set texts = [] -%}
    {%- for query_sql in queries -%} {%- do texts.append(sluice.dedent(query_sql)) -%} {%- endfor -%}
    {{ return(texts | join("\n" ~ operator ~ "\n")) }}
{% endmacro %}
