{#- The window of one driving source for the current load: from the last watermark to the newest row now.

    A lookup has a window, too: the rows that changed since the last load. `restates` is in it when they derive rows again,
    which is not so in a first load or a full refresh: these derive every row.

    Args:
        dependency (dict): see driving_dependencies.
        log (dict): see read_log.
    Returns: dict, ready for JSON: source (str), kind (str or none: no key), start and end (text or none), is_open
        (start itself is left out), new (bool), moves_watermark (bool), lookback_count, future_count (int or none),
        source_epoch (int or none), records (str: the pattern of the files that the load notes), files (str: the relation of
        unread files, which is read in place of the source), forgets (bool or absent: see capture_files), notes_gone (bool or
        absent: the load notes that it removed the rows of files that are gone), reads_nothing (bool or absent), unkeyed (dict(relation, key, row_count) or none: rows whose
        key is NULL, which are in no window), head (str: the target's last load, seen before the window was cut), target
        (dict(head, has_side): what the log said of the target then).
-#}
{% macro capture_window(dependency, log) %}
    {%- set target_name = sluice.target_name() -%}
    {%- set head = log.heads.get(target_name) -%}
    {%- set window = {
        "source": dependency.source,
        "kind": none,
        "start": none,
        "end": none,
        "is_open": false,
        "new": false,
        "moves_watermark": true,
        "lookback_count": none,
        "future_count": 0,
        "source_epoch": none,
        "unkeyed": none,
        "head": head.load_id if head else "none",
        "target": {"head": head, "has_side": log.has_side},
    } -%}
    {%- set asked = sluice.asked_windows(target_name) -%}
    {%- set is_first = head is none or head.load_id == "none" -%}
    {%- set watermark = none if should_full_refresh() else log.watermarks.get(dependency.source) -%}
    {%- if dependency.is_lookup and asked and is_first -%}
        {#- the first chunk of a first load: every later change derives the rows of all chunks again -#}
        {%- set asked = {} -%}
    {%- endif -%}
    {%- if asked and should_full_refresh() -%}
        {%- do sluice.raise_error(
            "increment",
            "SLUICE_WINDOWS asks for a part of "
            ~ target_name
            ~ ", and --full-refresh replaces all of it.",
            "Use one of them.",
        ) -%}
    {%- elif asked -%}
        {%- do sluice.take_asked_window(window, dependency, asked, watermark, log) -%}
        {%- if asked.get(dependency.source, {}).moves_watermark and window.moves_watermark -%}
            {%- do sluice.note_chunk(window, dependency, is_first) -%}
        {%- endif -%}
    {%- elif dependency.managed -%}
        {%- do sluice.capture_managed_window(window, log.heads.get(dependency.source), watermark) -%}
    {%- elif dependency.key is none -%}
        {%- do sluice.capture_token(window, watermark) -%}
        {%- if sluice.file_identity() is not none -%}
            {%- do sluice.capture_replaced_files(window, dependency, watermark) -%}
        {%- endif -%}
    {%- elif not sluice.capture_files(window, dependency, watermark) -%}
        {%- set kind = sluice.key_kind(dependency, log.key_types.get(dependency.source)) -%}
        {%- do sluice.capture_key_window(window, dependency, kind, watermark) -%}
        {%- do sluice.note_files(window, dependency, window.kind, watermark is none) -%}
    {%- endif -%}
    {%- if should_full_refresh() -%} {%- do window.update({"new": true}) -%} {%- endif -%}
    {%- if dependency.is_lookup -%}
        {%- do window.update({"is_lookup": true}) -%}
        {%- if window.new and not is_first and not should_full_refresh() -%}
            {%- do window.update({"restates": true}) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(window) }}
{% endmacro %}


{#- A backfill reads the requested windows, reads nothing from other sources, and does not move the watermark. A chunk
    of a first load moves the watermark up to the chunk's end, and never down. -#}
{% macro take_asked_window(window, dependency, asked, watermark, log) %}
    {%- set wanted = asked.get(dependency.source) -%}
    {%- set is_whole = dependency.managed or dependency.key is none -%}
    {%- if wanted and is_whole and sluice.asked_task() in ("restate", "fill", "ties") -%}
        {#- a restatement, also of single columns, and a search for ties read it from the beginning, as a first load does -#}
        {%- if dependency.managed -%}
            {%- do sluice.capture_managed_window(window, log.heads.get(dependency.source), none) -%}
        {%- else -%} {%- do sluice.capture_token(window, none) -%}
        {%- endif -%}
        {{ return("") }}
    {%- endif -%}
    {%- do window.update({"moves_watermark": false}) -%}
    {%- if wanted -%}
        {%- if dependency.managed or dependency.key is none -%}
            {%- do sluice.raise_error(
                "increment",
                dependency.source
                ~ " of "
                ~ sluice.target_name()
                ~ " cannot be read by a window: it is "
                ~ ("managed by Sluice." if dependency.managed else "without an incremental key."),
                "Backfill a source with an incremental key, or use --full-refresh.",
            ) -%}
        {%- endif -%}
        {%- set kind = sluice.key_kind(dependency, log.key_types.get(dependency.source)) -%}
        {%- do window.update({"kind": kind, "start": wanted.start, "end": wanted.end, "new": true}) -%}
        {%- set is_behind = (
            watermark is not none
            and watermark.end is not none
            and sluice.is_lower(wanted.end, watermark.end, kind)
        ) -%}
        {%- if wanted.moves_watermark and not is_behind -%}
            {%- do window.update(
                {
                    "moves_watermark": true,
                    "lookback_count": sluice.count_band(dependency, kind, wanted.end),
                }
            ) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}


{#- A source without a key has changed when its change token differs. A missing token counts as a change. -#}
{% macro capture_token(window, watermark) %}
    {%- set token = fromjson(env_var("SLUICE_CHANGE_TOKENS", "{}")).get(window.source) -%}
    {%- do window.update(
        {
            "end": token,
            "new": token is none or watermark is none or (token | string) != watermark.end,
        }
    ) -%}
{% endmacro %}


{#- Another Sluice target has new rows when the load time in its head changed. The rows of one load commit together,
    so the window excludes its low end. -#}
{% macro capture_managed_window(window, upstream, watermark) %}
    {%- do window.update({"kind": "timestamp", "is_open": true}) -%}
    {%- if upstream is not none -%}
        {%- set is_same_epoch = watermark is not none and watermark.source_epoch == upstream.epoch -%}
        {%- do window.update(
            {
                "start": watermark.end if is_same_epoch else none,
                "end": upstream.loaded_at,
                "source_epoch": upstream.epoch,
                "new": upstream.loaded_at is not none
                and (not is_same_epoch or watermark.end != upstream.loaded_at),
            }
        ) -%}
    {%- endif -%}
{% endmacro %}
