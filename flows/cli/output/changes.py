"""What changes in a column of a control row: of a list, the elements that differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from rich.markup import escape

from flows.cli.output.console import out

if TYPE_CHECKING:
    from metadata_sync.rows.merge import RowChange

_WIDTH: Final = 80
_NAMES: Final = ("name", "table")
"""What an element of a list is called by: a column of a column list by its name, a dependency by its table."""


def changed_lines(column: str, old: object, new: object) -> Iterator[str]:
    """Yield the lines that show a change of one column.

    >>> list(changed_lines("max_rejects", None, 10))
    ['max_rejects: – → 10']
    >>> list(changed_lines("scd_columns", ["city"], ["city", "name"]))
    ['scd_columns: 1 of 2 elements differ', '  + name']
    """
    if not (_is_list(old) and _is_list(new) and old and new):
        yield f"{column}: {brief(old) or '–'} → {brief(new) or '–'}"
        return
    before, after = _by_name(old), _by_name(new)
    lines = [*_elements(before, after)]
    if [name for name in before if name in after] != [name for name in after if name in before]:
        lines.append(f"  order: {', '.join(after)}")
    count = sum(1 for name in {**before, **after} if before.get(name) != after.get(name))
    yield f"{column}: {count} of {len({**before, **after})} elements differ" if count else f"{column}:"
    yield from lines


def print_change(change: RowChange) -> None:
    """Print a change of a row, and each column of a changed one."""
    signs = {"add": "[green]+[/]", "change": "[yellow]~[/]", "adopt": "[blue]=[/]", "remove": "[red]-[/]"}
    note = {"adopt": "  (already in the table, from now on declared by a file)"}.get(change.kind, "")
    out.print(f"{signs[change.kind]} {escape(str(change.id))}{note}", highlight=False)
    if change.kind == "change":
        for column in change.columns:
            for line in changed_lines(column.column, column.old, column.new):
                out.print(f"    {line}", highlight=False, markup=False, soft_wrap=True)


def change_document(change: RowChange) -> dict[str, Any]:
    """Return a change of a row for a JSON document."""
    columns = [{"column": item.column, "old": item.old, "new": item.new} for item in change.columns]
    return {"kind": change.kind, "table": change.id.table, "key": change.id.key, "columns": columns}


def brief(value: object) -> str | None:
    """Return a value as one short line; None when it is empty."""
    if value is None or value in ((), []):
        return None
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _elements(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name, element in before.items():
        if name not in after:
            yield f"  - {_shown(name, element)}"
    for name, element in after.items():
        if name not in before:
            yield f"  + {_shown(name, element)}"
        elif before[name] != element:
            parts = (
                f"{part}: {brief(before[name].get(part)) or '–'} → {brief(element.get(part)) or '–'}"
                for part in {**before[name], **element}
                if before[name].get(part) != element.get(part)
            )
            yield f"  ~ {name}: {'; '.join(parts)}"


def _shown(name: str, element: object) -> str:
    if not isinstance(element, Mapping):
        return name
    rest = {part: value for part, value in element.items() if part not in _NAMES and value not in (None, "", [], ())}
    return f"{name} ({', '.join(f'{part}: {brief(value)}' for part, value in rest.items())})" if rest else name


def _by_name(elements: Sequence[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for element in elements:
        name = _name_of(element)
        named[_text_of(element) if name in named else name] = element
    return named


def _name_of(element: object) -> str:
    if isinstance(element, Mapping):
        for key in _NAMES:
            if key in element:
                return str(element[key])
    return _text_of(element)


def _text_of(element: object) -> str:
    return brief(element) or "–"


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)
