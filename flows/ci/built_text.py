"""What was built and compared, for people and as a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from flows.ci.build import BuildResult, Built
    from flows.diff.model import TableDiff

_MOST_COLUMNS: Final = 8


def summary_of(result: BuildResult) -> str:
    """Return one sentence."""
    if not result.targets:
        return "no target changed whose rows could differ: nothing was built."
    failed = sum(item.error is not None for item in result.targets)
    differ = sum(item.diff is not None and not item.diff.is_empty for item in result.targets)
    end = f", {failed} could not be loaded" if failed else ""
    return (
        f"{len(result.targets)} of {result.total} targets built from {len(result.samples)} tables of "
        f"{result.base}: {differ} with other rows than before{end}."
    )


def lines_of_built(result: BuildResult) -> Iterator[str]:
    """Yield a line for each target, then one for each table that was read."""
    for item in result.targets:
        yield f"{item.target}: {state_of(item)}"
        if item.diff is not None:
            yield from (f"  {example}" for example in _examples(item.diff))
    yield from (f"read {sample}" for sample in result.samples)


def built_markdown(result: BuildResult) -> str:
    """Return a table of the targets, and what they read."""
    head = "| target | | rows | what differs |\n| --- | --- | ---: | --- |\n"
    rows = "".join(
        f"| `{item.target}` | {'changed' if item.is_changed else 'reads it'} "
        f"| {'' if item.rows is None else f'{item.rows:,}'} | {_cell(state_of(item))} |\n"
        for item in result.targets
    )
    read = "".join(f"- {sample}\n" for sample in result.samples)
    examples = [f"{item.target}: {line}" for item in result.targets if item.diff for line in _examples(item.diff)]
    shown = "\n```\n" + "\n".join(examples) + "\n```\n" if examples else ""
    return f"### Rows of targets\n\n{summary_of(result)}\n\n{head}{rows}{shown}\nRead from {result.base}:\n{read}"


def built_document(result: BuildResult) -> dict[str, Any]:
    """Return it as a JSON document."""
    return {
        "base": result.base,
        "total": result.total,
        "samples": [asdict(sample) for sample in result.samples],
        "targets": [
            {
                "target": item.target,
                "is_changed": item.is_changed,
                "rows": item.rows,
                "error": item.error,
                "note": item.note,
                "diff": None if item.diff is None else _diff_document(item.diff),
            }
            for item in result.targets
        ],
    }


def _diff_document(diff: TableDiff) -> dict[str, Any]:
    counts = ("rows_here", "rows_there", "equal", "changed", "moved", "only_here", "only_there")
    return {
        **{name: getattr(diff, name) for name in counts},
        "key": list(diff.key),
        "columns": [{"column": column.name, "rows": column.count, "share": column.share} for column in diff.columns],
        "schema": [{"column": item.name, "here": item.here, "there": item.there} for item in diff.schema],
    }


def state_of(item: Built) -> str:
    """Return in words how a target's rows differ, or why that is not known."""
    if item.error is not None:
        return f"could not be loaded: {item.error}"
    if item.diff is None:
        return item.note or f"new, {item.rows:,} rows"
    return "the same rows as before" if item.diff.is_empty else "; ".join(_differences(item.diff))


def _differences(diff: TableDiff) -> Iterator[str]:
    both = diff.equal + diff.changed + diff.moved
    if diff.changed:
        columns = [f"{column.name} {column.share:.1%}" for column in diff.columns]
        more = f" and {len(columns) - _MOST_COLUMNS} more" if len(columns) > _MOST_COLUMNS else ""
        yield f"{diff.changed:,} of {both:,} changed ({', '.join(columns[:_MOST_COLUMNS])}{more})"
    if diff.moved:
        yield f"{diff.moved:,} begin or end at another time"
    if diff.only_here:
        yield f"{diff.only_here:,} only now"
    if diff.only_there:
        yield f"{diff.only_there:,} only before"
    for item in diff.schema:
        if item.there is None:
            yield f"column {item.name} is new"
        elif item.here is None:
            yield f"column {item.name} is gone"
        else:
            yield f"column {item.name} was {item.there}, is {item.here}"
    for side, faults in diff.key_faults.items():
        if faults.null_rows or faults.double_keys:
            yield f"{side}: {faults.null_rows:,} without a key, {faults.double_keys:,} keys twice, left out"


def _examples(diff: TableDiff) -> Iterator[str]:
    for item in diff.examples:
        key = ", ".join(str(part) for part in item.key)
        what = "" if item.column is None else f" {item.column}: {item.there} → {item.here}"
        yield f"{item.kind.replace('_', ' ')} {key}{what}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
