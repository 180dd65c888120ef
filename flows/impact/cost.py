"""What deriving rows again would take, by what the target's loads have taken so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from metadata_sync.analysis.impact import DECIDING

if TYPE_CHECKING:
    from flows.context import Context
    from flows.impact.plan import Effect
    from metadata_sync.database.journals.entries import LoadTotal

_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Restating:
    """What deriving the rows of a target again would take, by what its loads have taken so far.

    Attributes:
        rows: Rows that it reads, about.
        chunks: Chunks that they are read in.
        seconds: How long, about.
        usd: Dollars at the warehouse's price; None: the price is not known.
    """

    rows: int
    chunks: int
    seconds: float
    usd: float | None


def with_cost(context: Context, effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """Return effects with what restating takes, where rows that stand would be derived anew.

    Args:
        context: The project; a control database that does not exist yet is not created.
        effects: What changes do.
    """
    found = tuple(effects)
    if not any(map(_derives_anew, found)) or not has_control_database(context):
        return found
    totals = context.store.load_totals()
    return tuple(_priced(effect, totals, context.settings.chunk_rows, context.usd_per_hour) for effect in found)


def _priced(effect: Effect, totals: Mapping[str, LoadTotal], chunk_rows: int, usd_per_hour: float | None) -> Effect:
    total = totals.get(effect.change.key) if _derives_anew(effect) else None
    if total is None:
        return effect
    usd = None if usd_per_hour is None else total.seconds / _HOUR * usd_per_hour
    chunks = -(-max(1, total.rows_read) // chunk_rows)
    return replace(effect, restating=Restating(total.rows_read, chunks, total.seconds, usd))


def has_control_database(context: Context) -> bool:
    """Whether there may be a control database; asking it does not make one."""
    from metadata_sync.database.engine import may_exist, parse_url

    return may_exist(parse_url(context.control_url))


def _derives_anew(effect: Effect) -> bool:
    change, select = effect.change, effect.change.select
    is_derived = select is not None and bool(select.changed or select.parts or select.added)
    return change.kind == "changed" and (is_derived or any(item.column in DECIDING for item in change.settings))
