{#- Which files of a lake source a load reads, and what it notes of them. lake_listing.sql says which files there are. -#}
{#- The files of a source that a target has read, as they were: name, version, key_from, future_from. -#}
{% macro files_read_sql(source_name) -%}
    {{ adapter.dispatch("files_read_sql", "sluice")(source_name) }}
{%- endmacro %}

{% macro redshift__files_read_sql(source_name) -%}
    {%- set target_text, source_text = sluice.literals([sluice.target_name(), source_name]) -%}
    (
        select name, version, coalesce(key_from, '') as key_from, coalesce(future_from, '') as future_from
        from
            (
                select
                    name,
                    version,
                    key_from,
                    future_from,
                    row_number() over (partition by name order by loaded_at desc) as place
                from {{ sluice.control_relation("lake_files") }}
                where target = {{ target_text }} and source = {{ source_text }}
            ) as noted
        where place = 1
    )
{%- endmacro %}

{% macro default__files_read_sql(source_name) -%}
    {%- set target_text, source_text = sluice.literals([sluice.target_name(), source_name]) -%}
    (
        select
            name,
            max_by(version, loaded_at) as version,
            max_by(coalesce(key_from, ''), loaded_at) as key_from,
            max_by(coalesce(future_from, ''), loaded_at) as future_from
        from {{ sluice.control_relation("lake_files") }}
        where target = {{ target_text }} and source = {{ source_text }}
        group by name
    )
{%- endmacro %}


{#- The listed files that a target has not read in this version, or read in part and would read now, as a query.

    Args:
        source_name (str): the source.
        window (dict): records (its pattern), is_whole (all listed files count, as in a first load), goes_on (only files
            that were read in part count), kind, limit (the greatest key that is read, as text or none).
-#}
{% macro unread_files_sql(source_name, window) -%}
    select
        listed.path,
        listed.name,
        listed.version,
        listed.rejects,
        files_read.key_from,
        files_read.version as read_version
    from {{ sluice.listing_sql(window.records) }} as listed
    left join {{ sluice.files_read_sql(source_name) }} as files_read on listed.name = files_read.name
    {%- if window.goes_on %} where listed.version = files_read.version and {{ sluice.left_out_sql(window) }}
    {%- elif not window.is_whole %}
        where
            files_read.name is null
            or listed.version <> files_read.version
            or ({{ sluice.left_out_sql(window) }})
    {%- endif %}
{%- endmacro %}


{#- Whether a file holds rows that were left out and that are read now. -#}
{% macro left_out_sql(window) -%}
    {%- if window.limit is none -%} files_read.future_from <> ''
    {%- elif window.kind == "integer" -%}
        try_cast(files_read.future_from as decimal(38, 0)) <= {{ window.limit }}
    {%- else -%} files_read.future_from <> '' and files_read.future_from <= {{ sluice.literal(window.limit) }}
    {%- endif -%}
{%- endmacro %}


{#- Cut the window of a lake source by its files: those that the target has not read.

    The bounds of the window are the keys of these files. A load by rows reads these files alone. A load by range, or
    with a lookback, reads all rows between the bounds, those that a rewritten file held before included.

    Of a source that removes the rows of files that are gone, the range also reaches over what these held. A load by groups
    then recomputes all groups (forgets), for nobody knows any more which ones a file that is gone, or was written again, held.

    Args:
        window (dict): filled in here.
        dependency (dict): see driving_dependencies.
        watermark (dict or none): see read_watermark.
    Returns: bool, false when nobody listed the files or noted which were read: then the key cuts the window.
-#}
{% macro capture_files(window, dependency, watermark) %}
    {%- if dependency.pattern is none -%} {{ return(false) }} {%- endif -%}
    {%- if watermark is none or not sluice.has_files_read(dependency.source) -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set kind = sluice.key_kind(dependency) -%}
    {%- do window.update({"kind": kind, "start": watermark.end, "end": watermark.end}) -%}
    {%- do window.update(sluice.files_to_note(dependency, kind, false)) -%}
    {%- set unread = sluice.unread_files(dependency.source, window) -%}
    {%- set gone = sluice.gone_files(dependency, window) -%}
    {%- if gone.file_count -%}
        {%- set low = [watermark.end, gone.key_from] -%}
        {%- do window.update(
            {
                "new": true,
                "notes_gone": true,
                "start": sluice.within_history(sluice.outermost_bound(low, kind, true), kind),
            }
        ) -%}
    {%- endif -%}
    {%- if dependency.removes_files and (gone.file_count or unread.rewritten_count) -%}
        {%- do window.update({"forgets": true}) -%}
    {%- endif -%}
    {%- if unread.file_count -%}
        {%- set relation = sluice.files_relation(dependency.relation, unread.paths) -%}
        {%- set bounds = sluice.key_bounds(dict(dependency, relation=relation), kind, window.limit) -%}
        {%- set reads_range = sluice.loads_by_range() or dependency.lookback_minutes > 0 -%}
        {%- set low = [bounds.start, window.start] -%}
        {%- if reads_range -%} {%- do low.append(unread.key_from) -%} {%- endif -%}
        {%- if dependency.lookback_minutes -%}
            {%- do low.append(sluice.minutes_before(watermark.end, dependency.lookback_minutes, kind)) -%}
        {%- endif -%}
        {%- do window.update(
            {
                "new": true,
                "start": sluice.within_history(sluice.outermost_bound(low, kind, true), kind),
                "end": sluice.outermost_bound([bounds.end, watermark.end], kind, false),
                "future_count": bounds.future_count,
                "files": none if reads_range else relation,
                "unkeyed": sluice.find_unkeyed(dict(dependency, relation=relation)),
            }
        ) -%}
        {%- do window.update({"file_keys": sluice.keys_of_files(dependency, window, relation)}) -%}
        {%- do sluice.warn_of_future_rows(window, dependency) -%}
    {%- endif -%}
    {{ return(true) }}
{% endmacro %}


{#- Let the load of a window note all listed files as read, up to the greatest key that is not in the future. -#}
{% macro note_files(window, dependency, kind, is_whole) %}
    {%- if dependency.pattern is not none -%}
        {%- do window.update(sluice.files_to_note(dependency, kind, is_whole)) -%}
        {%- do window.update({"file_keys": sluice.keys_of_files(dependency, window)}) -%}
    {%- endif -%}
{% endmacro %}


{% macro files_to_note(dependency, kind, is_whole) %}
    {{
        return(
            {
                "records": dependency.pattern,
                "is_whole": is_whole,
                "limit": sluice.greatest_accepted(dependency, kind),
            }
        )
    }}
{% endmacro %}


{#- Let a chunk of a first load note its files as read up to its end: the first chunk all listed ones, each later one those
    of them that hold rows up to its end. A file that comes meanwhile is not noted, so it is new. -#}
{% macro note_chunk(window, dependency, is_first) %}
    {%- if dependency.pattern is not none -%}
        {%- do window.update(
            {"records": dependency.pattern, "is_whole": is_first, "goes_on": not is_first}
        ) -%}
        {%- do window.update({"limit": window.end, "future_count": none}) -%}
        {%- if is_first -%} {%- do window.update({"file_keys": sluice.keys_of_files(dependency, window)}) -%}
        {%- else -%}
            {%- set rest = sluice.unread_files(dependency.source, window) -%}
            {%- set relation = sluice.files_relation(dependency.relation, rest.paths) -%}
            {%- do window.update(
                {
                    "records": dependency.pattern if rest.file_count else none,
                    "file_keys": (
                        sluice.keys_of_files(dependency, window, relation)
                        if rest.file_count
                        else none
                    ),
                }
            ) -%}
        {%- endif -%}
        {%- do window.update({"future_count": 0}) -%}
    {%- endif -%}
{% endmacro %}


{#- Whether the load's identity is the range of its keys: an append without a business key. -#}
{% macro loads_by_range() %}
    {{ return(config.get("materialized") == "append" and not sluice.list_setting("business_key")) }}
{% endmacro %}


{#- A bound, but not before backfill_start. -#}
{% macro within_history(bound, kind) %}
    {%- set first = sluice.setting("backfill_start") -%}
    {%- if first is none -%} {{ return(bound) }} {%- endif -%}
    {{
        return(
            sluice.outermost_bound([bound, sluice.minutes_before(first | string, 0, kind)], kind, false)
        )
    }}
{% endmacro %}


{#- The least or the greatest of some bounds; none counts for nothing. -#}
{% macro outermost_bound(bounds, kind, is_least) %}
    {%- set found = namespace(bound=none) -%}
    {%- for bound in bounds | reject("none") -%}
        {%- set pair = [bound, found.bound] if is_least else [found.bound, bound] -%}
        {%- if found.bound is none or sluice.is_lower(pair[0], pair[1], kind) -%}
            {%- set found.bound = bound -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found.bound) }}
{% endmacro %}


{#- The keys of some files: dict(start, end: least and greatest accepted key as text or none, future_count). -#}
{% macro key_bounds(dependency, kind, limit) %}
    {%- set key = sluice.key_expression(dependency, kind) -%}
    {%- set accepted = key ~ " <= " ~ sluice.literal(limit) if limit is not none else "1 = 1" -%}
    {%- call statement("sluice_key_bounds", fetch_result=true, auto_begin=false) -%}
        select
            'is '
            || {{ sluice.key_text("min(case when " ~ accepted ~ " then " ~ key ~ " end)", kind) }}
            as key_from,
            'is '
            || {{ sluice.key_text("max(case when " ~ accepted ~ " then " ~ key ~ " end)", kind) }} as key_to,
            count(case when not ({{ accepted }}) then {{ key }} end) as future_count
        from {{ sluice.files_of(dependency.relation) }}
    {%- endcall -%}
    {%- set row = load_result("sluice_key_bounds").table.rows[0] -%}
    {{
        return(
            {
                "start": row[0][3:] if row[0] is not none else none,
                "end": row[1][3:] if row[1] is not none else none,
                "future_count": row[2] | int,
            }
        )
    }}
{% endmacro %}


{#- Whether a load of this target has noted which files of a source it read. -#}
{% macro has_files_read(source_name) %}
    {%- set target_text, source_text = sluice.literals([sluice.target_name(), source_name]) -%}
    {%- call statement("sluice_files_read", fetch_result=true, auto_begin=false) -%}
        select count(*) > 0 as is_noted
        from {{ sluice.control_relation("lake_files") }}
        where target = {{ target_text }} and source = {{ source_text }}
    {%- endcall -%}
    {{ return(load_result("sluice_files_read").table.rows[0][0]) }}
{% endmacro %}


{#- The unread files of a window: dict(file_count, paths: literals, key_from: least key that they held before,
    rewritten_count: those that were read in another version). -#}
{% macro unread_files(source_name, window) %}
    {%- call statement("sluice_unread", fetch_result=true, auto_begin=false) -%}
        select
            count(*) as file_count,
            {{ adapter.dispatch("paths_sql", "sluice")() }} as paths,
            'is ' || {{ sluice.least_noted_sql(window.kind) }} as key_from,
            count(case when read_version not in ('', version) then 1 end) as rewritten_count
        from ({{ sluice.unread_files_sql(source_name, window) }}) as unread
    {%- endcall -%}
    {%- set row = load_result("sluice_unread").table.rows[0] -%}
    {{
        return(
            {
                "file_count": row[0] | int,
                "paths": (
                    sluice.unread_paths(source_name, window, row[0] | int) if row[1] is none else row[1][3:]
                ),
                "key_from": row[2][3:] if row[2] is not none else none,
                "rewritten_count": row[3] | int,
            }
        )
    }}
{% endmacro %}


{#- The paths of the unread files as one text, where they are asked with the counts. -#}
{% macro default__paths_sql() -%}
    'is ' || string_agg({{ sluice.path_literal_sql() }}, ', ' order by path)
{%- endmacro %}

{#- LISTAGG ends at 65,535 bytes. -#}
{% macro redshift__paths_sql() -%} cast(null as varchar(1)) {%- endmacro %}


{#- The paths of the unread files as literals, asked row by row; empty when they are too many for a statement: the load
    then reads all files of its range. -#}
{% macro unread_paths(source_name, window, file_count) %}
    {%- if file_count == 0 or file_count > 5000 -%} {{ return("") }} {%- endif -%}
    {%- call statement("sluice_unread_paths", fetch_result=true, auto_begin=false) -%}
        select path from ({{ sluice.unread_files_sql(source_name, window) }}) as unread order by path
    {%- endcall -%}
    {{ return(sluice.literals(load_result("sluice_unread_paths").table.columns[0].values()) | join(", ")) }}
{% endmacro %}


{#- The least of the noted keys, as text. -#}
{% macro least_noted_sql(kind) %}
    {{
        return(
            "cast(min(try_cast(key_from as decimal(38, 0))) as varchar)"
            if kind == "integer"
            else "min(nullif(key_from, ''))"
        )
    }}
{% endmacro %}


{#- Some files with the path of each row's file as sluice_path, in place of a column of the source that names it. -#}
{% macro with_paths(dependency, relation) %}
    {{ return(adapter.dispatch("with_paths", "sluice")(dependency, relation)) }}
{% endmacro %}

{% macro redshift__with_paths(dependency, relation) %}
    {%- set start = "(select * from " -%}
    {%- set rest = relation[start | length : -1] if relation.startswith(start) else relation -%}
    {{ return('(select *, "$path" as sluice_path from ' ~ rest ~ ") as files") }}
{% endmacro %}

{% macro default__with_paths(dependency, relation) %}
    {%- set named = ", filename = '" ~ dependency.file_column ~ "')" -%}
    {%- set kept = relation[: -(named | length)] if relation.endswith(named) else relation[:-1] -%}
    {{ return(kept ~ ", filename = 'sluice_path')") }}
{% endmacro %}


{#- The least key and the least future key of each file, as a subselect; none when no later load needs them.

    Args:
        dependency (dict): see driving_dependencies.
        window (dict): kind, limit, future_count (none: unknown).
        relation (str or none): the files that the load notes; none: all files.
-#}
{% macro keys_of_files(dependency, window, relation=none) %}
    {%- set by_range = sluice.loads_by_range() -%}
    {%- set has_future = window.limit is not none and window.future_count != 0 -%}
    {%- if not (by_range or has_future) -%} {{ return(none) }} {%- endif -%}
    {%- set key = sluice.key_expression(dependency, window.kind) -%}
    {%- set future = (
        "min(case when " ~ key ~ " > " ~ sluice.literal(window.limit) ~ " then " ~ key ~ " end)"
    ) -%}
    {{
        return(
            "(select sluice_path, "
            ~ (sluice.key_text("min(" ~ key ~ ")", window.kind) if by_range else "null")
            ~ " as key_from, "
            ~ (sluice.key_text(future, window.kind) if has_future else "null")
            ~ " as future_from from "
            ~ sluice.with_paths(dependency, relation or sluice.files_of(dependency.relation))
            ~ " group by sluice_path)"
        )
    }}
{% endmacro %}
