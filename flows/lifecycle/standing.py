"""What stands of a target in the warehouse: its table, its companions, its rows of the load log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from flows.warehouse.connection import Warehouse
from flows.warehouse.load_log import companion_table, tables_in
from flows.warehouse.profile import SLUICE_SCHEMA, Profile
from metadata_sync.errors import ConfigurationError, HardRunError
from metadata_sync.rows.names import TableName

PARTS: Final = ("target", "side", "rejects", "head")
"""The table and its companions, the head last: while it stands, the target counts as loaded."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands of one target.

    Attributes:
        tables: Part → the table in the warehouse, for the parts that exist.
        log_count: Its rows in the load log.
        live_count: Those of them that are its watermark or were: of a retired target's rows none is.
        read_count: Rows of the load log in which other targets read it.
        row_count: Rows of the table; None: not counted.
    """

    tables: Mapping[str, str]
    log_count: int = 0
    live_count: int = 0
    read_count: int = 0
    row_count: int | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether the warehouse does not know the target."""
        return not self.tables and not self.live_count and not self.read_count


def parse_target(name: str) -> TableName:
    """Return the target that a person names.

    Raises:
        ConfigurationError: When it is no name of a table.
    """
    try:
        return TableName.parse(name)
    except ValueError as error:
        raise ConfigurationError(f"{error}.", "Write targets as schema.table.") from error


def part_name(profile: Profile, target: TableName, part: str) -> tuple[str, str]:
    """Return schema and table, as the warehouse names them, of a target or one of its companions."""
    if part == "target":
        return profile.physical_schema(target.schema), target.table
    return profile.physical_schema(SLUICE_SCHEMA), companion_table(target, part)


def read_standing(
    warehouse: Warehouse, profile: Profile, targets: Collection[TableName], *, counted: TableName | None = None
) -> tuple[Mapping[TableName, Standing], bool]:
    """Read what stands of targets.

    Args:
        warehouse: Read-only connection.
        profile: Maps schemas to their names in the warehouse.
        targets: The targets.
        counted: The target whose rows are counted.

    Returns:
        What stands of each; and whether there is a load log.
    """
    sluice = profile.physical_schema(SLUICE_SCHEMA)
    found = tables_in(warehouse, {sluice, *(profile.physical_schema(target.schema) for target in targets)})
    has_log = (sluice, "load_log") in found
    counts = _log_counts(warehouse, sluice, targets) if has_log else {}
    standing = {}
    for target in targets:
        places = {part: part_name(profile, target, part) for part in PARTS}
        tables = {part: ".".join(place) for part, place in places.items() if place in found}
        is_counted = target == counted and "target" in tables
        standing[target] = Standing(
            tables,
            *counts.get(str(target), (0, 0, 0)),
            _row_count(warehouse, *places["target"]) if is_counted else None,
        )
    return standing, has_log


def read_views(warehouse: Warehouse, profile: Profile, target: TableName) -> tuple[str, ...]:
    """Return the views whose text names a table; a role sees the text of its own views only."""
    text = exp.Like(
        this=exp.Lower(this=exp.column("view_definition")), expression=exp.Literal.string(f"%{target.table}%")
    )
    own = exp.column("table_schema").neq(profile.physical_schema(SLUICE_SCHEMA))
    names = ("table_schema", "table_name")
    question = exp.select(*names).from_("information_schema.views").where(text, own).order_by(*names)
    try:
        return tuple(f"{schema}.{name}" for schema, name in warehouse.query(question))
    except HardRunError:  # a role without the right to look
        return ()


def _log_counts(warehouse: Warehouse, sluice: str, targets: Collection[TableName]) -> dict[str, tuple[int, int, int]]:
    names = sorted(map(str, targets))
    log = exp.table_("load_log", db=sluice, quoted=True)
    of_target = (
        exp.select("target", "count(*)", "count(epoch)")
        .from_(log)
        .where(exp.column("target").isin(*names))
        .group_by("target")
    )
    of_source = exp.select("source", "count(*)").from_(log).where(exp.column("source").isin(*names)).group_by("source")
    read = dict(map(tuple, warehouse.query(of_source)))
    logged = {target: (count, live) for target, count, live in warehouse.query(of_target)}
    return {name: (*logged.get(name, (0, 0)), read.get(name, 0)) for name in names}


def _row_count(warehouse: Warehouse, schema: str, table: str) -> int:
    question = exp.select("count(*)").from_(exp.table_(table, db=schema, quoted=True))
    return int(warehouse.query(question)[0][0])
