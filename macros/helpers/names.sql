{#- Column names as SQL needs them: quoted only where quotes are necessary, so that generated SQL stays readable.

    Args:
        names (list of str, or str): the columns' names as the warehouse spells them.
    Returns: list of str.
-#}
{% macro quoted(names) %}
    {%- set reserved = sluice.reserved_words() -%}
    {%- set listed = [] -%}
    {%- for name in ([names] if names is string else names) -%}
        {%- if modules.re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in reserved -%}
            {%- do listed.append(name) -%}
        {%- else -%} {%- do listed.append('"' ~ (name | replace('"', '""')) ~ '"') -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(listed) }}
{% endmacro %}


{% macro quote_name(name) %} {{ return(sluice.quoted([name])[0]) }} {% endmacro %}


{#- Column names, quoted or not, with a prefix: prefix '_sluice_was_' turns '"Total"' into '"_sluice_was_Total"'.
    A name that would be longer than the warehouse allows ends in a hash instead: the warehouse would cut it off. -#}
{% macro prefixed(prefix, columns) %}
    {%- set limit = sluice.name_limit() -%}
    {%- set listed = [] -%}
    {%- for column in columns -%}
        {%- set full = prefix ~ (column[1:-1] if column.startswith('"') else column) -%}
        {%- if limit is not none and full.encode("utf-8") | length > limit -%}
            {%- set start = full.encode("utf-8")[: limit - 13].decode("utf-8", "ignore") -%}
            {%- set full = start ~ "_" ~ local_md5(full)[:12] -%}
        {%- endif -%}
        {%- do listed.append('"' ~ full ~ '"' if column.startswith('"') else full) -%}
    {%- endfor -%}
    {{ return(listed) }}
{% endmacro %}


{#- How many bytes a name may have; none when there is no limit.

    Source: https://www.postgresql.org/docs/current/limits.html, https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
-#}
{% macro name_limit() %} {{ return({"postgres": 63, "redshift": 127}.get(target.type)) }} {% endmacro %}


{#- Words that DuckDB, PostgreSQL or Redshift reject as an unquoted column name. A word that is missing here causes a
    syntax error, never a wrong row. -#}
{% macro reserved_words() %}
    {%- set lines = [
        "aes128 aes256 all allowoverwrite analyse analyze and anti any array as asc asof asymmetric",
        "at at_timezone authorization az64 backup between binary blanksasnull both by bytedict",
        "bzip2 case cast check collate collation column concurrently constraint create credentials",
        "cross current_catalog current_date current_role current_schema current_time",
        "current_timestamp current_user current_user_id default deferrable deflate defrag delta",
        "delta32k desc describe disable distinct do else emptyasnull enable encode encrypt",
        "encryption end except explicit false fetch for foreign freeze from full generated glob",
        "globaldict256 globaldict64k grant group gzip having identity ignore ilike in initially",
        "inner intersect interval into is isnull join lambda language lateral leading left like",
        "limit localtime localtimestamp lun luns lzo lzop map minus mostly16 mostly32 mostly8",
        "natural new not notnull null nulls off offline offset oid old on only open or order outer",
        "overlaps parallel partition percent permissions pivot pivot_longer pivot_wider placing",
        "positional primary qualify raw readratio recover references rejectlog resort respect",
        "restore returning right select semi session_user show similar snapshot some summarize",
        "symmetric sysdate system table tablesample tag tdes text255 text32k then timestamp to top",
        "trailing true truncatecolumns try_cast union unique unnest unpack unpivot user using",
        "variadic verbose wallet when where window with without",
    ] -%}
    {{ return((lines | join(" ")).split(" ")) }}
{% endmacro %}


{#- Column names, eight to a line.

    Args:
        names (list of str): columns.
        alias (str or none): alias of their table.
        prefix (str): prefix of the names in that table.
        as_prefix (str or none): prefix of the names in the result.
-#}
{% macro columns(names, alias=none, prefix="", as_prefix=none) %}
    {#- an event time that is part of the key is named once -#}
    {%- set names = names | unique | list -%}
    {%- set results = sluice.prefixed(as_prefix, names) if as_prefix else none -%}
    {%- set listed = [] -%}
    {%- for name in (sluice.prefixed(prefix, names) if prefix else names) -%}
        {%- set column = (alias ~ "." if alias else "") ~ name -%}
        {%- do listed.append(column ~ " as " ~ results[loop.index0] if results else column) -%}
    {%- endfor -%}
    {#- as in_lines does: dbt copies its whole context for each macro that is called, and this one is called most -#}
    {%- set lines = [] -%}
    {%- for line in listed | batch(8) -%} {%- do lines.append(line | join(", ")) -%} {%- endfor -%}
    {{ return(lines | join(",\n" ~ " " * 16)) }}
{% endmacro %}


{#- Terms of a list, `count` to a line. -#}
{% macro in_lines(terms, count=8) %}
    {%- set lines = [] -%}
    {%- for line in terms | batch(count) -%} {%- do lines.append(line | join(", ")) -%} {%- endfor -%}
    {{ return(lines | join(",\n" ~ " " * 16)) }}
{% endmacro %}
