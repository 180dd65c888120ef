{#- Write a load: head, side table, target, log, in one statement and one transaction.

    It is one statement because an adapter may repeat a statement after a lost connection: it must repeat the whole
    load or nothing. The log comes after what it tells of, because it holds the watermark.

    Args:
        load (dict): the load, staged and counted.
        changes (list of str): statements that write side table and target; empty when nothing changes.
-#}
{% macro commit_load(load, changes) %}
    {%- if flags.EMPTY -%}
        {%- do store_raw_result("main", message="EMPTY checked", code="EMPTY", rows_affected="0") -%}
    {%- else -%}
        {%- set write_sql = sluice.write_sql(load, changes) -%}
        -- BEGIN happens here
        {{ run_hooks(pre_hooks, inside_transaction=True) }}
        {%- call statement("main") -%} {{ write_sql }}
        {%- endcall -%}
        {%- do write(
            load.script
            | join("\n")
            | trim ~ "\n\n-- one transaction\nbegin;\n\n" ~ write_sql ~ ";\n\ncommit;\n"
        ) -%}
        {%- do apply_grants(
            load.relation,
            config.get("grants"),
            should_revoke=should_revoke(not load.makes_target, false),
        ) -%}
        {%- do persist_docs(load.relation, model) -%}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {%- do adapter.commit() -%}
        {#- COMMIT happened here -#}
        {%- do sluice.report_load(load) -%}
        {%- do load.update({"temporaries": []}) -%}
    {%- endif -%}
    {%- do sluice.drop_temporaries(load) -%}
    {%- do sluice.unlabel_session(load) -%}
    {%- if not sluice.is_probe() -%} {{ run_hooks(post_hooks, inside_transaction=False) }} {%- endif -%}
{% endmacro %}


{#- All statements of the write as one text. Sets changes_rows. -#}
{% macro write_sql(load, changes) %}
    {%- do load.update({"changes_rows": (changes or load.reshape) | length > 0 or load.is_rekeyed}) -%}
    {%- if not load.windows -%}
        {#- a SELECT without increment() is read in full by every run -#}
        {%- do load.update(
            {
                "windows": [
                    {
                        "source": load.target_name,
                        "start": none,
                        "end": none,
                        "moves_watermark": not load.is_rekeyed,
                        "lookback_count": none,
                        "source_epoch": none,
                    }
                ]
            }
        ) -%}
    {%- endif -%}
    {%- set parts = [sluice.take_head_sql(load)] -%}
    {%- if load.counts.rows_rejected -%}
        {%- do parts.append(sluice.insert_rejects_sql(load)) -%}
    {%- endif -%}
    {%- if load.is_rekeyed -%} {%- do parts.extend(sluice.rebuild_tables_sql(load)) -%} {%- endif -%}
    {%- for change in load.reshape -%}
        {%- do parts.append("alter table " ~ load.relation ~ " " ~ change) -%}
    {%- endfor -%}
    {%- do parts.extend(changes) -%}
    {%- do parts.extend(sluice.note_files_sql(load)) -%}
    {%- do parts.append(sluice.insert_log_sql(load)) -%}
    {%- if load.temporaries and not load.is_cleared -%}
        {%- do parts.append(sluice.drop_tables_sql(load.temporaries)) -%}
    {%- endif -%}
    {%- set statements = [] -%}
    {%- for part in parts -%} {%- do statements.append(sluice.dedent(part)) -%} {%- endfor -%}
    {{ return(statements | join(";\n\n")) }}
{% endmacro %}


{#- Report the load to dbt, for its log line and run_results. -#}
{% macro report_load(load) %}
    {%- set counts = load.counts -%}
    {%- set words = [] -%}
    {%- for word in ("inserted", "updated", "closed", "deleted", "rejected") if counts["rows_" ~ word] -%}
        {%- do words.append(counts["rows_" ~ word] ~ " " ~ word) -%}
    {%- endfor -%}
    {%- do store_raw_result(
        "main",
        message=words | join(", ") or load.message or "UNCHANGED",
        code="LOAD",
        rows_affected=(
            counts.rows_inserted + counts.rows_updated + counts.rows_closed + counts.rows_deleted
        )
        | string,
    ) -%}
{% endmacro %}


{% macro drop_temporaries(load) %}
    {%- if load.temporaries -%}
        {%- call statement("sluice_drop", auto_begin=false) -%}
            {{ sluice.drop_tables_sql(load.temporaries) }}
        {%- endcall -%}
    {%- endif -%}
{% endmacro %}

{% macro drop_tables_sql(names) %}
    {{ return(adapter.dispatch("drop_tables_sql", "sluice")(names)) }}
{% endmacro %}

{% macro default__drop_tables_sql(names) %}
    {{ return("drop table if exists " ~ names | join(", ")) }}
{% endmacro %}

{#- DuckDB drops one table per statement. -#}
{% macro duckdb__drop_tables_sql(names) %}
    {{ return("drop table if exists " ~ names | join(";\ndrop table if exists ")) }}
{% endmacro %}
