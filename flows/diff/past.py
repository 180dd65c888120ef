"""Compare what a history says now with what it says of an earlier moment: only an SCD2 keeps that.

Its versions say when they held. A load names a moment only where the time of loads orders the versions: elsewhere a
late row changes what is said of the past, so that nobody can tell what stood there after that load.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from flows.context import reading
from flows.diff.compare import EXAMPLES, compare_tables
from flows.diff.sides import Side, side
from flows.warehouse.connection import literal
from flows.warehouse.load_log import read_loads
from metadata_sync.errors import RequestError
from metadata_sync.rows.resolve import is_view, sequence_columns, unknown_target
from metadata_sync.rows.vocabulary import LoadType

if TYPE_CHECKING:
    from flows.context import Context
    from flows.diff.model import TableDiff
    from flows.warehouse.connection import Warehouse
    from metadata_sync.rows.model import ControlRows, TransformationRow
    from metadata_sync.rows.names import TableName

_LOAD: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HINT: Final = "Compare with another environment: --against prod."


def moment_of(text: str) -> str | None:
    """Return a text when it is an instant, a date, a number or the id of a load; None: it names an environment.

    >>> [moment_of(text) for text in ("2026-11-01", "20261101T050000Z-0a1b2c3d", "prod")]
    ['2026-11-01', '20261101T050000Z-0a1b2c3d', None]
    """
    if _LOAD.fullmatch(text) or text.isdigit():
        return text
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text


def compare_with_past(context: Context, target: TableName, moment: str, *, example_count: int = EXAMPLES) -> TableDiff:
    """Compare a history now with itself at an earlier moment.

    Args:
        context: The project.
        target: The target.
        moment: An instant or a date in UTC, a number where versions begin at numbers, or the id of a load or a run.
        example_count: Examples of each kind.

    Raises:
        RequestError: When the target keeps no earlier content, or does not say what a load left.
        HardRunError: When it has no table, or the warehouse refuses the comparison.
    """
    rows = context.store.usable_rows()
    row = rows.transformation(target)
    if row is None:
        raise unknown_target(str(target), rows)
    if row.load_type is not LoadType.SCD2 or is_view(row, rows):
        kind = "a materialized view" if is_view(row, rows) else f"of type {row.load_type.value}"
        raise RequestError(f"{row.key} is {kind}, which keeps no earlier content: only an scd2 does.", _HINT)
    with reading(context, context.profile) as warehouse:
        instant = _instant(context, warehouse, row, rows, moment)
        now = side(warehouse, context.profile, target, "now")
        return compare_tables(
            warehouse, row, _at(now, None, "now"), _at(now, instant, moment), example_count=example_count
        )


def _instant(context: Context, warehouse: Warehouse, row: TransformationRow, rows: ControlRows, moment: str) -> str:
    """Return a moment as versions say it."""
    if not _LOAD.fullmatch(moment):
        if moment.isdigit():
            return moment
        instant = datetime.fromisoformat(moment)
        return str(instant if instant.tzinfo is None else instant.astimezone(UTC).replace(tzinfo=None))
    by_event = sequence_columns(row, rows, [column.name for column in row.column_list])
    if by_event:
        message = (
            f"{row.key} is ordered by {', '.join(by_event)}: a late row changes what it says of the past, "
            "so it does not tell what a load left."
        )
        raise RequestError(message, "Compare with a time: --against 2026-11-01.")
    loads = read_loads(warehouse, context.profile, run_id=moment, load_ids=[moment])
    found = [load.loaded_at for load in loads if load.target == row.key and load.loaded_at is not None]
    if not found:
        raise RequestError(f"The load log has no load {moment} that changed {row.key}.", "See: sluice status --json")
    return f"{found[-1]:%Y-%m-%d %H:%M:%S.%f}"


def _at(side_now: Side, instant: str | None, label: str) -> Side:
    """Return the versions that hold at an instant, without their bounds; None: those that hold now."""
    held = "valid_to IS NULL"
    if instant is not None:
        text = literal(instant)
        held = f"valid_from <= {text} AND (valid_to > {text} OR valid_to IS NULL)"
    relation = f"(SELECT * FROM {side_now.relation} AS v WHERE {held})"  # noqa: S608 - quoted names, a literal
    columns = {
        name: type_ for name, type_ in side_now.columns.items() if name not in {"valid_from", "valid_to", "is_current"}
    }
    return replace(side_now, environment=label, relation=relation, columns=columns)
