"""Promotion and rollback: rows and SELECTs of another environment, or of an earlier moment, together or not at all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text as sql

from metadata_sync.analysis.kept_selects import as_if_written, selects_of, written
from metadata_sync.control.apply import (
    Assignment,
    ChangeContext,
    add_row,
    apply_plan,
    plan_files,
    set_values,
    switch,
)
from metadata_sync.control.export import export_document
from metadata_sync.control.promotion import plan_promotion
from metadata_sync.control.restoring import Restoring, carry_out
from metadata_sync.control.rollback import plan_rollback
from metadata_sync.database import ControlStore, Via
from metadata_sync.errors import MetadataError, RequestError, StaleRowError
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange, RowId, replaced
from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.vocabulary import DeactivatedBy
from tests.support.control_support import FLIGHTS, rows, transformation
from tests.unit.control.test_apply import NoWarehouse

TARGET = RowId("transformation_control", "dwh.dim_aircraft")
SELECT = "select tailnum, carrier, base_airport, recorded_at from lake.flights join lake.planes using (tailnum)\n"


class Side:
    """One environment of the project."""

    def __init__(self, project: Project, store: ControlStore) -> None:
        self.context = ChangeContext(project, store, NoWarehouse(), "ada")
        self.store = store
        self.project = project

    def apply(self, text: str = FLIGHTS) -> None:
        (self.project.control_dir / "flights.yml").write_text(text)
        apply_plan(self.context, plan_files(self.context))

    def set(self, value: str, row: RowId = TARGET) -> None:
        set_values(self.context, row, [Assignment.parse(value)], None)

    def row(self) -> TransformationRow:
        return self.store.read_rows().transformations[0]

    def sync(self) -> None:
        self.store.keep_selects(selects_of(self.store.read_rows().transformations, self.project))

    def last_change(self) -> str:
        return self.store.history(None, 1)[0].change_id

    def promote(self, source: Side, *targets: str, overwrite: bool = False) -> Restoring:
        found = plan_promotion(self.context, source.store, targets, overwrite=overwrite)
        if not found.is_empty:
            carry_out(self.context, found, Via.PROMOTE, None)
        return found

    def roll_back(self, change: str) -> Restoring:
        found = plan_rollback(self.context, change)
        if not found.is_empty:
            carry_out(self.context, found, Via.ROLLBACK, None)
        return found

    def state(self) -> tuple[str, dict[str, str]]:
        found = self.store.read_rows().transformations
        return export_document(self.store.read_state()), selects_of(found, self.project)


@pytest.fixture
def sides(project: Project, store_url: str) -> Iterator[tuple[Side, Side]]:
    """Stage and prod: the same files, applied in both."""
    (project.dbt_dir / "transformations").mkdir()
    file_of(project).write_text(SELECT)
    with ControlStore.open(store_url, "stage") as stage, ControlStore.open(store_url, "prod") as prod:
        both = Side(project, stage), Side(project, prod)
        for side in both:
            side.apply()
        yield both


def file_of(project: Project, name: str = "dim_aircraft") -> Path:
    return project.dbt_dir / "transformations" / f"{name}.sql"


def refusal(action: Callable[[], object]) -> str:
    """Return what the only fault says."""
    with pytest.raises(MetadataError) as raised:
        action()
    (fault,) = raised.value.faults
    return fault.message


def edit(side: Side, column: str) -> None:
    """Change the SELECT, and let an environment run it."""
    file_of(side.project).write_text(SELECT.replace("carrier,", f"{column} as carrier,"))
    side.sync()


def test_rows_and_selects_are_promoted_and_rolled_back(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    before = prod.state()
    stage.set("max_rejects=7")
    edit(stage, "upper(carrier)")
    file_of(prod.project).write_text(SELECT)  # another checkout
    found = prod.promote(stage)
    assert [column.column for change in found.changes for column in change.columns] == ["max_rejects"]
    assert "upper(carrier)" in file_of(prod.project).read_text()
    assert prod.row().max_rejects == 7
    entries = {entry.column: entry for entry in prod.store.history() if entry.via == "promote"}
    assert entries.keys() == {"max_rejects", "select"}
    assert prod.promote(stage).is_empty
    prod.roll_back(prod.last_change())
    assert prod.state() == before


def test_a_select_alone_is_promoted_and_can_be_rolled_back(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    edit(stage, "upper(carrier)")
    file_of(prod.project).write_text(SELECT)
    prod.promote(stage)
    change = prod.last_change()
    prod.roll_back(change)
    assert file_of(prod.project).read_text() == SELECT


def test_what_prod_changed_meanwhile_is_kept_and_what_both_changed_is_a_conflict(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    stage.set("max_rejects=7")
    prod.promote(stage)
    prod.set("max_rejects=9")
    assert prod.promote(stage).notes == (
        "transformation_control[dwh.dim_aircraft].max_rejects was changed in prod since the last promotion: "
        "kept (--overwrite).",
    )
    assert prod.row().max_rejects == 9
    stage.set("max_rejects=8")
    with pytest.raises(MetadataError) as raised:
        prod.promote(stage)
    (fault,) = raised.value.faults
    assert (fault.column, fault.rule, fault.value) == ("max_rejects", "conflict", "8")
    assert "it is 9 here; last promoted: 7" in fault.message
    prod.promote(stage, overwrite=True)
    assert prod.row().max_rejects == 8


def test_a_value_without_any_at_the_last_promotion_is_promoted(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    (stage.project.control_dir / "flights.yml").unlink()
    with_rows = RowId("pipeline_control", "flights_hourly")
    prod.store.write([RowChange(prod.row(), None)], "ada", "set", None)
    prod.promote(stage)  # adds the row, of which most columns have no value
    stage.set("max_wait_minutes=15")
    prod.promote(stage)
    assert prod.row().max_wait_minutes == 15
    assert prod.store.read_rows().pipeline(with_rows.key) is not None


def test_values_of_an_environment_switches_and_the_frameworks_stay(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    own = FLIGHTS.replace(
        'schedule: "5 * * * *"}', 'schedule: "5 * * * *", environments: {stage: {schedule: "1 1 * * *"}}}'
    )
    for side in sides:
        side.apply(own)
    switch(stage.context, "dwh.dim_aircraft", "tests", is_active=False)
    found = prod.promote(stage)
    assert found.is_empty
    assert found.notes == ("pipeline_control[flights_hourly].schedule is declared for prod alone: kept.",)
    assert prod.row().is_active


def test_a_row_that_the_framework_switched_off_arrives_switched_on(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    (stage.project.control_dir / "flights.yml").unlink()
    off = replaced(stage.row(), is_active=False, deactivated_by=DeactivatedBy.FRAMEWORK, comments="Unknown column")
    stage.store.write([RowChange(stage.row(), off)], "sluice", "framework", None)
    prod.store.write([RowChange(prod.row(), None)], "ada", "set", None)
    prod.promote(stage, "dwh.dim_aircraft")
    assert (prod.row().is_active, prod.row().deactivated_by, prod.row().comments) == (True, None, None)


def test_two_promotions_at_once_one_wins_and_the_other_changes_nothing(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    stage.set("max_rejects=7")
    edit(stage, "upper(carrier)")
    file_of(prod.project).write_text(SELECT)
    first = plan_promotion(prod.context, stage.store)
    stage.set("max_rejects=8")
    second = plan_promotion(prod.context, stage.store)
    carry_out(prod.context, second, Via.PROMOTE, None)
    file_of(prod.project).write_text("select 1 as tailnum\n")
    with pytest.raises(StaleRowError, match="changed by somebody else meanwhile"):
        carry_out(prod.context, first, Via.PROMOTE, None)
    assert file_of(prod.project).read_text() == "select 1 as tailnum\n"
    assert prod.row().max_rejects == 8


def test_a_process_that_died_after_the_files_is_followed_by_one_that_ends_it(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    stage.set("max_rejects=7")
    edit(stage, "upper(carrier)")
    file_of(prod.project).write_text(SELECT)
    half = plan_promotion(prod.context, stage.store)
    with written(half.texts, prod.project):
        pass  # and no row
    prod.promote(stage)
    assert prod.row().max_rejects == 7
    assert file_of(prod.project).read_text() == half.selects[0].after


@pytest.mark.parametrize("action", ["promote", "roll back"])
def test_a_file_that_nothing_keeps_is_not_overwritten(sides: tuple[Side, Side], action: str) -> None:
    stage, prod = sides
    edit(stage, "upper(carrier)")
    prod.set("max_rejects=2")
    change = prod.last_change()
    file_of(prod.project).write_text(SELECT.replace("carrier,", "lower(carrier) as carrier,"))
    with pytest.raises(RequestError, match="holds a text that nothing else keeps"):
        prod.roll_back(change) if action == "roll back" else prod.promote(stage, overwrite=True)
    assert "lower" in file_of(prod.project).read_text()
    assert prod.row().max_rejects == 2


def test_a_file_of_neither_environment_is_a_conflict(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    edit(stage, "upper(carrier)")
    file_of(prod.project).write_text(SELECT + "\n")
    assert "neither what stage nor what prod ran" in refusal(lambda: prod.promote(stage))


def test_faults_of_the_outcome_refuse_it_and_change_nothing(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    stage.set("max_rejects=7")
    edit(stage, "upper(carrier)")
    file_of(prod.project).write_text("select (\n")
    stage.sync()  # stage's file is broken too, as when somebody promotes in the middle of an edit
    file_of(prod.project).write_text(SELECT)
    before = prod.state()
    with pytest.raises(MetadataError):
        prod.promote(stage)
    assert prod.state() == before


def test_files_with_faults_refuse_a_promotion(sides: tuple[Side, Side]) -> None:
    """They would say which values are an environment's own."""
    stage, prod = sides
    stage.set("max_rejects=7")
    (prod.project.control_dir / "more.yml").write_text("pipelines: [{pipeline_id: x, colour: red}]\n")
    with pytest.raises(MetadataError):
        prod.promote(stage)
    assert prod.row().max_rejects is None


def test_what_is_unknown_is_refused(sides: tuple[Side, Side], store_url: str) -> None:
    stage, prod = sides
    with pytest.raises(RequestError, match="There is no change 2026-x in prod"):
        prod.roll_back("2026-x")
    with pytest.raises(RequestError, match=r"There is no change .* in prod"):
        prod.roll_back(stage.last_change())
    with pytest.raises(RequestError, match=r"stage has no target dwh\.nothing"):
        prod.promote(stage, "dwh.nothing")
    with (
        ControlStore.open(store_url, "empty") as empty,
        pytest.raises(RequestError, match="empty has no rows"),
    ):
        plan_promotion(prod.context, empty)


def test_a_change_past_the_audit_is_not_undone(sides: tuple[Side, Side]) -> None:
    _, prod = sides
    prod.set("max_rejects=2")
    change = prod.last_change()
    with prod.store._engine.begin() as connection:
        connection.execute(sql("update transformation_control set max_rejects = 5 where environment = 'prod'"))
    assert "was changed past the audit" in refusal(lambda: prod.roll_back(change))


def test_a_masked_value_is_not_brought_back(sides: tuple[Side, Side]) -> None:
    _, prod = sides
    for text in ("see postgresql://etl:hunter2@db/x", "harmless"):
        prod.store.write([RowChange(prod.row(), replaced(prod.row(), description=text))], "ada", "set", None)
    assert "held a secret at that time" in refusal(lambda: prod.roll_back(prod.last_change()))


def test_what_the_framework_wrote_since_stays(sides: tuple[Side, Side]) -> None:
    _, prod = sides
    prod.set("max_rejects=2")
    change = prod.last_change()
    off = replaced(prod.row(), is_active=False, deactivated_by=DeactivatedBy.FRAMEWORK, comments="Unknown column")
    prod.store.write([RowChange(prod.row(), off)], "sluice", "framework", None)
    prod.roll_back(change)
    assert (prod.row().max_rejects, prod.row().is_active) == (None, False)


@pytest.mark.parametrize("seed", range(6))
def test_promotion_and_rollback_are_the_identity(sides: tuple[Side, Side], seed: int) -> None:
    """Random changes by people; a rollback to any of them gives the export and the SELECTs of before."""
    stage, prod = sides
    chosen = random.Random(seed)
    befores: dict[str, tuple[str, dict[str, str]]] = {}
    for step in range(10):
        _change(stage, chosen, step)
        file_of(prod.project).write_text(prod.store.select_texts(prod.store.select_hashes().values()).popitem()[1])
        prod.sync()
        before, last = prod.state(), prod.last_change()
        if chosen.random() < 0.5:
            _change(prod, chosen, 100 + step)
        else:
            prod.promote(stage, overwrite=True)
        if prod.last_change() != last:
            befores[prod.last_change()] = before
    for change in chosen.sample(sorted(befores), 3):
        prod.sync()
        prod.roll_back(change)
        assert prod.state() == befores[change]


def _change(side: Side, chosen: random.Random, step: int) -> None:
    kind = chosen.choice(["set", "source", "pipeline", "select", "add", "switch"])
    if kind == "set":
        side.set(f"{chosen.choice(['max_rejects', 'max_wait_minutes', 'freshness_minutes'])}={step + 1}")
    elif kind == "source":
        side.set(f"lookback_minutes={step}", RowId("source_control", "lake.flights"))
    elif kind == "pipeline":
        side.set(f"owner={step}", RowId("pipeline_control", "flights_hourly"))
    elif kind == "select":
        edit(side, f"'{step}' || carrier")
    elif kind == "switch":
        is_active = next(row for row in side.store.read_rows().transformations if row.key == TARGET.key).is_active
        switch(side.context, TARGET.key, "by turns", is_active=not is_active)
    else:
        name = f"t{step}_{side.store.environment}"
        file_of(side.project, name).write_text(SELECT)
        values = side.row().model_dump(mode="json", by_alias=True, exclude_defaults=True)
        named = {"target_table": name, "sql_path": f"transformations/{name}.sql"}
        add_row(side.context, TransformationRow, {**values, **named}, None, Via.FORM)


def test_a_project_inside_a_dbt_project_is_looked_at_without_copying_it(tmp_path: Path) -> None:
    """The project is the root itself there: below it are data, environments and git's own files."""
    project = Project(tmp_path.resolve())
    for name in ("dbt_project.yml", "control/rows.yml", "models/orders.sql", "transformations/a.sql", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a: 1\n")
    row = transformation("dwh.a")
    with as_if_written({"transformations/b.sql": "select 2"}, rows(row), project) as other:
        assert other.dbt_dir == other.home
        found = {path.relative_to(other.dbt_dir).as_posix(): path.read_text() for path in other.dbt_dir.rglob("*.*")}
    assert found == {"transformations/a.sql": "a: 1\n", "transformations/b.sql": "select 2"}
    assert list(project.state_dir.glob("selects-*")) == []
