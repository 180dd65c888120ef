"""A plan for people: as lines of a terminal, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from flows.impact.cost import Restating
from flows.impact.plan import Effect, Impact

HEADERS: Final = ("Row", "Change", "What it does")
_MOST: Final = 20
_MINUTE: Final = 60.0
_MOST_BYTES: Final = 60_000
"""What one comment of a pull request holds, with room to spare."""


def kind_of(effect: Effect) -> str:
    """Return the kind of a change in words."""
    change = effect.change
    if change.kind != "changed":
        return change.kind
    parts = [str(kind) for kind in change.select.kinds] if change.select is not None else []
    if change.select is not None and change.select.parts:
        parts[-1] += f" ({', '.join(change.select.parts)})"
    return " · ".join([*parts, *(["settings"] if change.settings else [])])


def lines_of(effect: Effect) -> Iterator[str]:
    """Yield what a change does, one line each."""
    yield from effect.effects
    if effect.restating is not None:
        yield f"`sluice restate {effect.change.key}` would read {_restating(effect.restating)}"
    if effect.columns:
        yield f"values follow in {_listed(effect.columns)}"
    if effect.rows:
        yield f"rows may differ in {_listed(effect.rows)}"
    if effect.unresolved:
        yield f"cannot be read by column, so counted as reached: {_listed(effect.unresolved)}"
    if not (effect.columns or effect.rows or effect.broken) and effect.change.kind == "changed":
        yield "reaches nothing else"
    for broken in effect.broken:
        yield f"BREAKS: {broken}"


def _restating(found: Restating) -> str:
    chunks = "1 chunk" if found.chunks == 1 else f"{found.chunks:,} chunks"
    minutes = f"{found.seconds:.0f} s" if found.seconds < _MINUTE else f"{found.seconds / _MINUTE:.0f} min"
    dollars = "" if found.usd is None else f", ${found.usd:.2f}"
    return f"about {found.rows:,} rows in {chunks}: {minutes}{dollars}, as the loads in the run log took"


def table_rows(impact: Impact) -> list[tuple[str, str, str]]:
    """Return the rows of a table of effects, under `HEADERS`: one for each line of an effect."""
    return [
        (effect.change.key, kind_of(effect) if number == 0 else "", line)
        for effect in impact.effects
        for number, line in enumerate(lines_of(effect))
    ]


def uncommitted_line(impact: Impact) -> str:
    """Return the sentence about files that are looked at though no commit has them."""
    return f"Not committed, and looked at as they are: {_listed(impact.uncommitted)}."


def markdown(impact: Impact) -> str:
    """Return a plan as Markdown, cut off at what one comment holds."""
    rows = "row" if len(impact.effects) == 1 else "rows"
    parts = [f"### {len(impact.effects)} changed {rows} against `{impact.ref}`\n"]
    if impact.uncommitted:
        parts.append(f"\n{uncommitted_line(impact)}\n")
    size = len("".join(parts).encode())
    for number, effect in enumerate(impact.effects):
        owners = f"\n- owners: {', '.join(effect.owners)}" if effect.owners else ""
        owners += f"\n- tests: {', '.join(effect.tests)}" if effect.tests else ""
        told = "\n".join(f"- {line}" for line in lines_of(effect))
        part = f"\n**`{effect.change.table}[{effect.change.key}]`** — {kind_of(effect)}\n{told}{owners}\n"
        size += len(part.encode())
        if size > _MOST_BYTES:
            parts.append(f"\n… and {len(impact.effects) - number} more: `sluice plan --against {impact.ref}`\n")
            break
        parts.append(part)
    return "".join(parts)


def document(impact: Impact) -> dict[str, Any]:
    """Return a plan as a JSON document."""
    return {
        "against": impact.ref,
        "is_broken": impact.is_broken,
        "uncommitted": list(impact.uncommitted),
        "changes": [
            {
                "row": f"{effect.change.table}[{effect.change.key}]",
                "kind": effect.change.kind,
                "settings": [
                    {"column": item.column, "before": item.before, "after": item.after}
                    for item in effect.change.settings
                ],
                "select": None
                if effect.change.select is None
                else {
                    "kinds": [str(kind) for kind in effect.change.select.kinds],
                    "added": list(effect.change.select.added),
                    "dropped": list(effect.change.select.dropped),
                    "changed": list(effect.change.select.changed),
                    "parts": list(effect.change.select.parts),
                },
                "effects": list(effect.effects),
                "columns": list(effect.columns),
                "rows": list(effect.rows),
                "unresolved": list(effect.unresolved),
                "broken": list(effect.broken),
                "owners": list(effect.owners),
                "tests": list(effect.tests),
                "restating": None if effect.restating is None else asdict(effect.restating),
            }
            for effect in impact.effects
        ],
    }


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
