"""Random lakes: files come late, are written again, merged, of other types, in odd folders; all equal the oracle.

Runs are killed before a random statement, reads and commits included; files may change before the next run.
More than in CI: `make lakes`.
"""

from __future__ import annotations

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from tests.flows.engine.test_lake_files import ALL, rows
from tests.support.engine_project import Workshop, copy_project, finish, transformation
from tests.support.forked_sluice import KILL_BEFORE
from tests.support.scd_oracle import Event, scd1, scd2

SEEDS = range(int(os.environ.get("LAKE_SEEDS", "2")))
ROUNDS = int(os.environ.get("LAKE_ROUNDS", "3"))
KILLS = int(os.environ.get("LAKE_KILLS", "2"))
"""Most kills of a round."""
FEWEST, MOST = 20, 100
"""Statements that a run sends at least, and about at most, when there is a new file."""
SHOPS = ("x", "y", "z")
SELECT = "select o.id, o.shop, o.amount, o.sold_at from lake.sales as o"
NAMED = "select o.id, o.shop, o.amount, o.sold_at, o.file from lake.sales_named as o"
REMOVING = {"sale_line", "shop_total"}
TOTALS = "select s.shop, sum(s.amount) as amount from lake.sales as s group by s.shop"
SELECTS = {**dict.fromkeys(("sale", "sale_now", "sale_then", "sale_line"), SELECT), "shop_total": TOTALS}
SELECTS["sale_named"] = NAMED

Sale = tuple[int, str, int, int]
"""Id, shop, amount, minute of the day."""


@dataclass
class Lake:
    """The files of a source, and per target every row that any of them ever held when a load read it.

    Of a lake that removes, files are removed, and lines and totals are what the files hold that are there.
    """

    workshop: Workshop
    removes: bool
    chance: Random
    files: dict[str, list[Sale]] = field(default_factory=dict)
    accepted: dict[str, set[Sale]] = field(default_factory=lambda: defaultdict(set))
    spoiled: list[str] = field(default_factory=list)
    gone: list[Sale] = field(default_factory=list)
    without_ids: dict[str, list[Sale]] = field(default_factory=dict)
    count: int = 0

    @property
    def targets(self) -> set[str]:
        return {*ALL, *({"dwh.sale_named"} if self.removes else ())}

    @property
    def folder(self) -> Path:
        return self.workshop.lake / "sales"

    def change(self) -> None:
        """Let one thing happen."""
        kinds = [self.land, self.land, self.land, self.write_again, self.merge, self.clutter, self.spoil]
        kinds += [self.repair] if self.spoiled else []
        kinds += [self.remove, self.remove] if self.removes and len(self.files) > 1 else []
        self.chance.choice(kinds if self.files else [self.land])()

    def land(self) -> None:
        self.count += 1
        folder = self.chance.choice(["", f"day={self.count % 3}/", "a b/[c]/", "it's/"])
        suffix = self.chance.choice([".parquet", ".parquet", ".PARQ", ""])
        self.write(f"{folder}part-{self.count:03}{suffix}", self.some_sales())

    def remove(self) -> None:
        name = self.chance.choice(sorted(self.files))
        (self.folder / name).unlink()
        self.gone += self.files.pop(name)

    def write_again(self) -> None:
        """Write a file again; unless the lake removes, its shops stay: a group that no file names is not touched."""
        name = self.chance.choice(sorted(self.files))
        if self.removes:
            self.write(name, self.some_sales())
            return
        kept = {shop: (id_, shop, self.chance.randrange(90), minute) for id_, shop, _, minute in self.files[name]}
        self.write(name, [*kept.values(), *self.some_sales()])

    def merge(self) -> None:
        """Write the rows of some files as one, as a compaction does."""
        names = self.chance.sample(sorted(self.files), min(3, len(self.files)))
        together = [sale for name in names for sale in self.files.pop(name)]
        self.gone += together
        for name in names:
            (self.folder / name).unlink()
        self.count += 1
        self.write(f"merged-{self.count:03}.parquet", together)

    def clutter(self) -> None:
        """Land what is no data."""
        for name in ("_temporary/0/part-0.parquet", ".part.parquet", "part.parquet.tmp", "_SUCCESS", "notes.txt"):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("no Parquet")

    def spoil(self) -> None:
        """Land a file that nobody can read, or whose ids are text; its rows count once it was written again."""
        self.count += 1
        name = f"spoiled-{self.count:03}.parquet"
        self.spoiled.append(name)
        self.write(name, self.some_sales(), id_type="varchar")
        sales = self.files.pop(name)
        if self.chance.random() < 0.5:
            self.without_ids[name] = sales  # the totals do not read ids
        else:
            content = (self.folder / name).read_bytes()
            (self.folder / name).write_bytes(content[: self.chance.randrange(len(content))])

    def repair(self) -> None:
        name = self.chance.choice(self.spoiled)
        self.spoiled.remove(name)
        self.write(name, [*self.without_ids.pop(name, []), *self.some_sales()])

    def some_sales(self) -> list[Sale]:
        ids = (self.chance.randrange(9) for _ in range(self.chance.randrange(1, 5)))
        return [(i, SHOPS[i % 3], self.chance.randrange(90), self.chance.randrange(1, 60 * 24)) for i in ids]

    def write(self, name: str, sales: list[Sale], id_type: str = "integer") -> None:
        self.files[name] = sales
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        amount = self.chance.choice(["smallint", "integer", "bigint"])
        extra = self.chance.choice(["", ", true as is_paid", ", null as note"])
        values = ", ".join(f"({i}, '{shop}', {amount_}, {minute})" for i, shop, amount_, minute in sales)
        with duckdb.connect() as connection:
            connection.execute(
                f"""copy (
                    select cast(v.id as {id_type}) as id, v.shop, cast(v.amount as {amount}) as amount,
                        timestamp '2013-01-01' + to_minutes(v.minute) as sold_at {extra}
                    from (values {values}) as v (id, shop, amount, minute)
                ) to '{self.folder / "_written"}' (format parquet)"""
            )
        (self.folder / "_written").rename(path)

    def run(self) -> set[str]:
        summary, _ = self.workshop.run()
        errors = [f"{outcome.target}: {outcome.error or outcome.decision.message}" for outcome in summary.outcomes]
        assert all(outcome.status in ("loaded", "skipped") for outcome in summary.outcomes), errors
        self.accept(self.targets)
        return {outcome.target for outcome in summary.outcomes if outcome.status == "loaded"}

    def run_killed(self, most: int = MOST) -> bool:
        """Run in a process of its own, killed before some statement; return whether it got that far."""
        before = self.loads()
        self.workshop.close()
        number = self.chance.randrange(1, most)
        process = self.workshop.sluice("run", **{KILL_BEFORE: str(number)})
        code, out, err = finish(process)
        assert code in (0, -signal.SIGKILL), (code, out, err)
        after = self.loads()
        self.accept(target for target in self.targets if after[target] > before[target])
        return code != 0

    def loads(self) -> Counter[str]:
        """The number of loads of each target that have committed."""
        found = self.workshop.query("select target, count(*) from sluice.load_log group by target")
        return Counter(dict(found))

    def accept(self, targets: Iterable[str]) -> None:
        """Take note that loads of some targets have read every file that can be read."""
        for target in targets:
            self.accepted[target].update(sale for sales in self.files.values() for sale in sales)

    def check(self) -> None:
        minute = "cast(epoch({0}) - epoch(timestamp '2013-01-01') as integer) // 60"
        columns = f"id, shop, amount, {minute.format('sold_at')}"
        query = self.workshop.query
        for table in ("sale_now", "sale"):
            now = {(int(e[0][0]), e[1][1], e[1][0], e[2]) for e in scd1(self.events(f"dwh.{table}"))}
            assert set(query(f"select {columns} from dwh.{table}")) == now
        versions = {
            (int(v.key[0]), v.content[1], v.content[0], v.valid_from, v.valid_to)
            for v in scd2(self.events("dwh.sale_then"), (0, 1))
        }
        ends = f"{minute.format('valid_from')}, {minute.format('valid_to')}"
        assert set(query(f"select id, shop, amount, {ends} from dwh.sale_then")) == versions
        listed = [sale for sales in self.files.values() for sale in sales]
        lines = Counter(query(f"select {columns} from dwh.sale_line"))
        assert Counter(listed) <= lines
        assert self.removes <= (lines == Counter(listed))
        assert lines - Counter(listed) <= Counter(self.gone), "only rows of files that are gone may stay"
        if self.removes:
            named = query(f"select file, {columns} from dwh.sale_named")
            assert Counter(named) == Counter((name, *sale) for name, sales in self.files.items() for sale in sales)
        totals: Counter[str] = Counter()
        for _, shop, amount, _ in [*listed, *(sale for sales in self.without_ids.values() for sale in sales)]:
            totals[shop] += amount
        assert dict(query("select shop, cast(amount as integer) from mart.shop_total")) == dict(totals)
        self.check_files()

    def events(self, target: str) -> list[Event]:
        sales = self.accepted[target]
        return [Event((str(i),), minute, 0, False, (amount, shop)) for i, shop, amount, minute in sales]

    def check_files(self) -> None:
        """Each file was read once in each of its versions, and as it is now by every target."""
        read = self.workshop.query("select target, name, version, count(*) from sluice.lake_files group by all")
        assert {count for _, _, version, count in read if version} == {1}
        now = {name: (self.folder / name).stat() for name in self.files}
        versions = {(name, f"{status.st_size}:{status.st_mtime_ns}") for name, status in now.items()}
        for target in self.targets:
            assert versions <= {(name, version) for reader, name, version, _ in read if reader == target}


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    root = tmp_path / "project"
    root.mkdir()
    copy_project(root, SELECTS)
    workshop = Workshop(root)
    yield workshop
    workshop.close()


def rows_of(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Return the rows; in a lake that removes, lines and totals read a source that says so."""
    found = rows()
    if lake.removes:
        (source,) = found["sources"]
        there = {**source, "table": "sales_there", "on_removed_files": "remove"}
        named = {**there, "table": "sales_named", "file_column": "file", "incremental_key": None}
        found["sources"] += [there, named]
        by_file = {"load_type": "append", "max_vanish_percent": 100}
        found["transformations"].append(transformation("dwh", "sale_named", "sales", "lake.sales_named", **by_file))
        for row in found["transformations"]:
            if row["target_table"] in REMOVING:
                row["max_vanish_percent"] = 100
                row["dependencies"][0]["table"] = "lake.sales_there"
                lake.workshop.write_select(
                    row["target_table"], SELECTS[row["target_table"]].replace("sales", "sales_there")
                )
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_any_lake_equals_the_oracle(workshop: Workshop, seed: int) -> None:
    lake = Lake(workshop, seed % 2 == 1, Random(seed))
    lake.folder.mkdir(parents=True)
    lake.land()
    workshop.apply(rows_of(lake))
    assert lake.run() == lake.targets
    if KILLS:
        lake.land()
        assert lake.run_killed(FEWEST)
    for _ in range(ROUNDS):
        for _ in range(lake.chance.randrange(1, 4)):
            lake.change()
        for _ in range(lake.chance.randrange(KILLS + 1)):
            lake.run_killed()
            if lake.chance.random() < 0.5:
                lake.change()
        lake.run()
        lake.check()
        assert lake.run() == set()
