{#- A column name as SQL wants it: quoted only where it has to be, so that generated SQL stays readable.

    Args:
        name (str): the column's name as the warehouse spells it.
    Returns: str.
-#}
{% macro quote_name(name) %}
    {%- if modules.re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in sluice.reserved_words() -%}
        {{ return(name) }}
    {%- endif -%}
    {{ return('"' ~ (name | replace('"', '""')) ~ '"') }}
{% endmacro %}


{% macro quoted(names) %}
    {%- set listed = [] -%}
    {%- for name in names -%} {%- do listed.append(sluice.quote_name(name)) -%} {%- endfor -%}
    {{ return(listed) }}
{% endmacro %}


{#- A quoted or plain column name with a prefix before it: ('_sluice_was_', '"Total"') gives
    '"_sluice_was_Total"'. -#}
{% macro prefixed(prefix, column) %}
    {{ return('"' ~ prefix ~ column[1:] if column.startswith('"') else prefix ~ column) }}
{% endmacro %}


{#- Words that DuckDB, PostgreSQL or Redshift refuse as a bare column name. A word missed here is a syntax
    error, never a wrong row. -#}
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


{#- Column names in lines of eight.

    Args:
        names (list of str): columns.
        alias (str or none): of their table.
        prefix (str): that the names bear there.
        as_prefix (str or none): that they bear in the result.
-#}
{% macro columns(names, alias=none, prefix="", as_prefix=none) %}
    {%- set listed = [] -%}
    {%- for name in names -%}
        {%- set column = (alias ~ "." if alias else "") ~ sluice.prefixed(prefix, name) -%}
        {%- do listed.append(
            column if as_prefix is none else column ~ " as " ~ sluice.prefixed(as_prefix, name)
        ) -%}
    {%- endfor -%}
    {{ return(sluice.in_lines(listed)) }}
{% endmacro %}


{#- Terms of a list, some to a line. -#}
{% macro in_lines(terms, count=8) %}
    {%- set lines = [] -%}
    {%- for line in terms | batch(count) -%} {%- do lines.append(line | join(", ")) -%} {%- endfor -%}
    {{ return(lines | join(",\n" ~ " " * 16)) }}
{% endmacro %}
