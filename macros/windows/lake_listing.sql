{#- The files of lake sources. Sluice lists them before a run and writes the listing to a CSV file, one row per file:
    pattern (the glob that the source's relation reads), path, name (the path below the location), version, rejects (of a
    text file: the path of its lines that cannot be read, or empty). SLUICE_FILES names it: JSON {listing, patterns}.

    dbt alone has no listing: the relation is then the glob, and increments are cut by the key alone.

    On Redshift a source is an external table, the files of a row are its "$path", and the listing is rows of the table
    `lake_listing`: SLUICE_FILES says under which name.
-#}
{#- All rows of a relation, as text: of a listed lake source its files in place of the glob. A hundred thousand paths are
    many megabytes of SQL, so it is asked only where all rows are read. -#}
{% macro files_of(rendered) %} {{ return(adapter.dispatch("files_of", "sluice")(rendered)) }} {% endmacro %}

{#- An external table, without files in hidden folders: AWS says of files, but not of folders, that they are ignored. -#}
{% macro redshift__files_of(rendered) %}
    {%- set pattern = sluice.listed_pattern(rendered) -%}
    {%- if pattern is none -%} {{ return(rendered) }} {%- endif -%}
    {%- set below = sluice.listed_files().patterns[pattern].folder_length -%}
    {%- set is_hidden = 'regexp_instr("$path", ' ~ sluice.literal("/[_.][^/=]*/") ~ ", " ~ below ~ ")" -%}
    {{ return("(select * from " ~ rendered ~ " where " ~ is_hidden ~ " = 0)") }}
{% endmacro %}

{% macro default__files_of(rendered) %}
    {%- set pattern = sluice.listed_pattern(rendered) -%}
    {%- if pattern is none -%} {{ return(rendered) }} {%- endif -%}
    {%- set name = "sluice_files_" ~ local_md5(pattern) -%}
    {%- set known = load_result(name) -%}
    {%- set paths = known.response if known is not none else sluice.paths_of(pattern) -%}
    {#- dbt gives a result out once, so it is stored again for the next reader -#}
    {%- do store_result(name, response=paths) -%}
    {{ return(sluice.files_relation(rendered, paths)) }}
{% endmacro %}


{#- The listed paths of a pattern, all or the latest, as literals in a row. -#}
{% macro paths_of(pattern, most=none) %}
    {%- call statement("sluice_listed", fetch_result=true, auto_begin=false) -%}
        select 'is ' || string_agg({{ sluice.path_literal_sql() }}, ', ' order by path) as paths
        from
            (
                select path
                from {{ sluice.listing_sql(pattern) }} as files
                {%- if most is not none %}
                    order by split_part(version, ':', 2) desc limit {{ most }}
                {%- endif %}
            ) as listed
    {%- endcall -%}
    {%- set paths = load_result("sluice_listed").table.rows[0][0] -%}
    {{ return(paths[3:] if paths is not none else "") }}
{% endmacro %}


{#- A relation that has the columns of a source: one of its files, when all are alike. -#}
{% macro example_of(dependency) %}
    {%- if dependency.pattern is none or sluice.listed_files().patterns[dependency.pattern].nulls -%}
        {{ return(sluice.files_of(dependency.relation)) }}
    {%- endif -%}
    {{ return(adapter.dispatch("example_of", "sluice")(dependency)) }}
{% endmacro %}

{% macro default__example_of(dependency) %}
    {{ return(sluice.files_relation(dependency.relation, sluice.paths_of(dependency.pattern, 1))) }}
{% endmacro %}

{% macro redshift__example_of(dependency) %} {{ return(dependency.relation) }} {% endmacro %}


{#- The pattern of a relation whose files were listed, none for any other relation. -#}
{% macro listed_pattern(rendered) %}
    {{ return(adapter.dispatch("listed_pattern", "sluice")(rendered)) }}
{% endmacro %}

{#- Schema and table of an external table, as its relation ends. -#}
{% macro redshift__listed_pattern(rendered) %}
    {%- if execute -%}
        {%- for pattern in sluice.listed_files().patterns if ("." ~ rendered).endswith("." ~ pattern) -%}
            {{ return(pattern) }}
        {%- endfor -%}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}

{% macro default__listed_pattern(rendered) %}
    {%- set found = modules.re.match("read_parquet\\('((?:[^']|'')*)'", rendered | string) -%}
    {%- if not execute or not found -%} {{ return(none) }} {%- endif -%}
    {%- set pattern = found.group(1) | replace("''", "'") -%}
    {{ return(pattern if pattern in sluice.listed_files().patterns else none) }}
{% endmacro %}


{#- What SLUICE_FILES says: dict(listing, patterns: pattern to dict(nulls: its columns as typed NULLs, when its files
    differ; rejects: the name of a source of text files, when lines of these cannot be read), refused: target to why it may not be loaded). -#}
{% macro listed_files() %}
    {%- set listed = fromjson(env_var("SLUICE_FILES", "{}")) -%}
    {{ return(listed or {"listing": none, "patterns": {}, "refused": {}}) }}
{% endmacro %}


{#- Read some files in place of a glob; the other options of the relation stay. Without a file, the glob stays as well:
    it then says that it matches nothing. -#}
{% macro files_relation(rendered, paths) %}
    {%- if not paths -%} {{ return(adapter.dispatch("without_files", "sluice")(rendered)) }} {%- endif -%}
    {{ return(adapter.dispatch("files_relation", "sluice")(rendered, paths)) }}
{% endmacro %}

{% macro default__without_files(rendered) %} {{ return(rendered) }} {% endmacro %}

{#- No path is named when they are too many for a statement: all files are read. -#}
{% macro redshift__without_files(rendered) %} {{ return(sluice.files_of(rendered)) }} {% endmacro %}

{% macro redshift__files_relation(rendered, paths) %}
    {{ return("(select * from " ~ rendered ~ ' where "$path" in (' ~ paths ~ "))") }}
{% endmacro %}

{% macro default__files_relation(rendered, paths) %}
    {%- set glob = modules.re.match("read_parquet\\('(?:[^']|'')*'", rendered).group(0) -%}
    {%- set options = rendered[glob | length :] -%}
    {%- if sluice.listed_files().patterns[sluice.listed_pattern(rendered)].nulls -%}
        {%- set options = options | replace("union_by_name = false", "union_by_name = true") -%}
    {%- endif -%}
    {{ return("read_parquet([" ~ paths ~ "]" ~ options) }}
{% endmacro %}


{#- The rows of a source as SELECTs see them: the column that names each row's file holds the file's name, and not its path;
    without columns that the source's row ignores (on_source_change: ignore). -#}
{% macro shown_rows(rows, rendered) %}
    {%- set found = modules.re.search(", filename = '(\\w+)'\\)$", rendered | string) -%}
    {%- if not execute or not found -%} {{ return(sluice.without_ignored(rows, rendered)) }} {%- endif -%}
    {%- set listed = sluice.listed_files().patterns.get(sluice.listed_pattern(rendered)) -%}
    {%- if not listed -%}
        {%- do sluice.raise_error(
            "increment",
            "the files of " ~ sluice.target_name() ~ " were not listed, and it reads their names.",
            "Run it by Sluice: sluice run, or sluice dbt build.",
        ) -%}
    {%- endif -%}
    {%- set column = sluice.quote_name(found.group(1)) -%}
    {%- set start = listed.name_start -%}
    {%- set name = (
        "substr("
        ~ column
        ~ ", "
        ~ start
        ~ ", length("
        ~ column
        ~ ") - "
        ~ (start | int - 1 + listed.name_rest | int)
        ~ ")"
    ) -%}
    {%- set named = "(select * replace (" ~ name ~ " as " ~ column ~ ") from " ~ rows ~ ")" -%}
    {{ return(sluice.without_ignored(named, rendered)) }}
{% endmacro %}


{#- What a load reads of a source: its unread files, or all of it. A column that these files lack is NULL. -#}
{% macro window_relation(dependency, window) %}
    {%- if not window.files -%} {{ return(sluice.files_of(dependency.relation)) }} {%- endif -%}
    {%- set nulls = sluice.listed_files().patterns.get(window.records, {}).nulls -%}
    {%- if not nulls -%} {{ return(window.files) }} {%- endif -%}
    {{ return("(select * from " ~ window.files ~ " union all by name select " ~ nulls ~ " where 1 = 0)") }}
{% endmacro %}


{#- Rows of a source without the columns that its row ignores (on_source_change: ignore). -#}
{% macro without_ignored(rows, rendered) %}
    {%- set pattern = sluice.listed_pattern(rendered) -%}
    {%- set names = fromjson(sluice.listed_files().patterns.get(pattern, {}).get("ignored", "[]")) -%}
    {%- if not names -%} {{ return(rows) }} {%- endif -%}
    {%- set listed = sluice.literals(names) | join(", ") -%}
    {{ return("(select columns (lambda name: lower(name) not in (" ~ listed ~ ")) from " ~ rows ~ ")") }}
{% endmacro %}


{#- All listed files of a pattern, those that this target leaves out included, as a subselect: name. -#}
{% macro all_listed_sql(pattern) -%}
    (select name from {{ sluice.listing_file_sql() }} where pattern = {{ sluice.literal(pattern) }})
{%- endmacro %}


{#- The listed files of a pattern that this target reads, as a subselect. -#}
{% macro listing_sql(pattern) -%}
    {%- set refusal = sluice.listed_files().refused.get(sluice.target_name()) -%}
    {%- if refusal %}
        {%- set remedy = (
            "Write the file again, or remove it."
            if target.type == "duckdb"
            else "Run it again, or let the role write Sluice's schema."
        ) -%}
        {%- do sluice.raise_error("listing_sql", refusal ~ ".", remedy) -%}
    {%- endif -%}
    {{ adapter.dispatch("listing_sql", "sluice")(pattern) }}
{%- endmacro %}

{#- Files that Redshift does not show are not among the rows. -#}
{% macro redshift__listing_sql(pattern) -%}
    (
        select path, name, version, cast(null as varchar(1)) as rejects
        from {{ sluice.control_relation("lake_listing") }}
        where
            listing = {{ sluice.literal(sluice.listed_files().listing) }}
            and pattern = {{ sluice.literal(pattern) }}
    )
{%- endmacro %}

{% macro default__listing_sql(pattern) -%}
    (
        select path, name, version, rejects
        from {{ sluice.listing_file_sql() }}
        where
            pattern = {{ sluice.literal(pattern) }}
            and not list_contains(
                string_split(coalesce(left_out_by, ''), '|'), {{ sluice.literal(sluice.target_name()) }}
            )
    )
{%- endmacro %}


{#- The listing's file as a table function. -#}
{% macro listing_file_sql() -%}
    read_csv(
        {{ sluice.literal(sluice.listed_files().listing) }},
        header = true,
        auto_detect = false,
        quote = '"',
        escape = '"',
        columns = {
            'pattern':'varchar',
            'path':'varchar',
            'name':'varchar',
            'version':'varchar',
            'left_out_by':'varchar',
            'rejects':'varchar'
        }
    )
{%- endmacro %}


{#- A path as a literal that read_parquet takes as one name, not as a glob; in S3 a backslash escapes as well. -#}
{% macro path_literal_sql() -%}
    {%- set escaped = "replace(replace(replace(path, '[', '[[]'), '*', '[*]'), '?', '[?]')" -%}
    chr(39) || replace(
        case
            when path like 's3://%'
            then replace({{ escaped }}, chr(92), '[' || chr(92) || ']')
            else {{ escaped }}
        end,
        chr(39),
        chr(39) || chr(39)
    )
    || chr(39)
{%- endmacro %}
