"""The page on lineage: sources and readers of a pipeline's targets, as a tree in text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flows.prefect.pages.summary import escape
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.names import TableName


def lineage_page(rows: ControlRows, pipeline_id: str) -> str:
    """Return the page: a tree of sources per target, and its readers.

    Args:
        rows: The environment's rows.
        pipeline_id: The pipeline.
    """
    by_name = {row.name: row for row in rows.transformations}
    lines = [f"## {escape(pipeline_id)}: lineage", "", "```"]
    for row in sorted(rows.transformations, key=lambda item: item.name):
        if row.pipeline_id == pipeline_id:
            lines += [*_tree(row, by_name), *_readers(row, by_name), ""]
    lines += ["```", "", "`·` a lookup, read in full. `sluice lineage schema.table.column` follows a column."]
    return "\n".join(lines) + "\n"


def _tree(row: TransformationRow, by_name: Mapping[TableName, TransformationRow]) -> Iterator[str]:
    yield f"{row.name}  ({row.load_type}, {row.pipeline_id})"
    yield from _branches(row, by_name, "", frozenset({row.name}))


def _branches(
    row: TransformationRow,
    by_name: Mapping[TableName, TransformationRow],
    indent: str,
    seen: frozenset[TableName],
) -> Iterator[str]:
    for place, item in enumerate(row.dependencies, start=1):
        is_last = place == len(row.dependencies)
        name = TableName.parse(item.table)
        upstream = by_name.get(name)
        note = f"  ({upstream.load_type}, {upstream.pipeline_id})" if upstream else ""
        yield f"{indent}{'└' if is_last else '├'}{'──' if item.driving else '··'} {name}{note}"
        if upstream is not None and name not in seen:
            yield from _branches(upstream, by_name, indent + ("    " if is_last else "│   "), seen | {name})


def _readers(row: TransformationRow, by_name: Mapping[TableName, TransformationRow]) -> Iterator[str]:
    readers = [
        f"{reader.name} ({reader.pipeline_id})"
        for reader in by_name.values()
        if any(TableName.parse(item.table) == row.name for item in reader.dependencies)
    ]
    if readers:
        yield f"→ {', '.join(sorted(readers))}"
