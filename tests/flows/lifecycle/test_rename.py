"""A target under a new name: its history goes on, its readers follow, and nothing is half done after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from flows.backfill.backfill import BackfillRequest, plan_backfill, run_backfill
from flows.dbt.passthrough import refuse_unfinished_renaming
from flows.engine.engine import execute
from flows.gate.facts import Action, Reason
from flows.ledger.verify import verify
from flows.lifecycle.rename import plan_rename, rename_steps
from flows.run.leases import LeaseKeeper
from metadata_sync.analysis.unit_tests import is_untouched, marked
from metadata_sync.control.apply import ChangeContext, plan_files
from metadata_sync.errors import ConfigurationError, HardRunError, MetadataError, SluiceError, SoftRunError
from metadata_sync.rows.merge import Plan
from tests.support.engine_project import (
    REPOSITORY,
    TOTALS_BY_HAND,
    Workshop,
    control_rows,
    finish,
    run_json,
    take_steps,
)

FACT, SALE = "dwh.fact_order", "core.sale"
READER = "mart.region_total"
ROWS_FILE = "dbt_project/control/rows.yml"
READER_FILE = "dbt_project/transformations/region_total.sql"
STEPS = ["begin", "warehouse", ROWS_FILE, READER_FILE, "rows", "models"]


def rename(workshop: Workshop, old: str, new: str, *, until: int | None = None) -> list[str]:
    """Rename a target, and stop after some steps, as a killed process does."""
    steps = rename_steps(workshop.context, plan_rename(workshop.context, old, new))
    return take_steps(steps, until)


def applied(workshop: Workshop) -> Plan:
    """What `control apply` would change now."""
    context = workshop.context
    return plan_files(ChangeContext(context.project, context.store, context.columns, "tester"))


def ledger(workshop: Workshop, schema: str, table: str) -> list[list[tuple[Any, ...]]]:
    """Everything that the warehouse holds of a target, but for its name."""
    companion = f"sluice.{schema}__{table}__"
    log = "* exclude (target)"
    queries = [
        f"select * from {schema}.{table} order by all",
        f"select * from {companion}side order by all",
        f"select * from {companion}rejects order by all",
        f"select * from {companion}head",
        f"select {log} from sluice.load_log where target = '{schema}.{table}' order by all",
        f"select {log} from sluice.watermark_control where target = '{schema}.{table}' order by all",
    ]
    return [workshop.query(query) for query in queries]


def tables(workshop: Workshop) -> set[str]:
    found = workshop.query("select table_schema || '.' || table_name from information_schema.tables")
    return {name for (name,) in found}


def held(workshop: Workshop) -> dict[str, Reason]:
    return {item.target: item.reason for item in workshop.plan().decisions if item.action is Action.HOLD}


def test_history_of_218_versions_goes_on_under_the_new_name_in_another_schema(workshop: Workshop) -> None:
    for day in range(2, 22):
        last = min(day * 10 + 10, 218)
        workshop.land_orders(f"day_{day}", range(day * 10, last), f"2013-01-{day + 1:02} 12:00:00")
    workshop.run()
    before = ledger(workshop, "dwh", "customer")
    assert len(before[0]) == 218

    rename(workshop, "dwh.customer", "crm.client")

    assert ledger(workshop, "crm", "client") == before
    assert not {name for name in tables(workshop) if "customer" in name}
    assert workshop.query("select count(*) from sluice.load_log where 'dwh.customer' in (target, source)") == [(0,)]
    assert verify(workshop.context, "crm.client").is_sound
    assert {item.reason for item in workshop.plan().decisions} == {Reason.NOTHING_NEW}

    workshop.land_orders("late", range(218, 220), "2013-03-01 12:00:00")
    summary, _ = workshop.run()

    loads = {item.target: item for item in summary.outcomes}
    assert loads["crm.client"].rows.inserted == 2
    assert workshop.query("select count(*) from crm.client") == [(220,)]
    assert verify(workshop.context, "crm.client").is_sound
    assert {entry.target for entry in workshop.context.store.latest_loads().successful} >= {"crm.client"}


def test_readers_follow_with_their_rows_files_and_watermarks(workshop: Workshop) -> None:
    path = workshop.root / ROWS_FILE
    path.write_text(
        "# our rows\n" + path.read_text().replace("pipeline_id: totals\n", "pipeline_id: totals  # daily\n", 1)
    )
    before, totals = path.read_text(), workshop.totals()
    definition = workshop.query("select definition from sluice.mart__region_total__head")

    assert rename(workshop, FACT, SALE) == STEPS

    own = "target_schema: {}\n  target_table: {}"
    wanted = before.replace(own.format("dwh", "fact_order"), own.format("core", "sale")).replace(FACT, SALE)
    assert path.read_text() == wanted
    assert "from core.sale as f" in (workshop.root / READER_FILE).read_text()
    plan = applied(workshop)
    assert (plan.is_empty, plan.orphans) == (True, ())
    assert all(kept.is_framework for kept in plan.kept)
    assert workshop.query("select definition from sluice.mart__region_total__head") != definition
    assert verify(workshop.context, READER).older_count == 0
    assert {item.reason for item in workshop.plan().decisions} == {Reason.NOTHING_NEW}

    workshop.land_orders("more", range(30, 40), "2013-01-03 12:00:00")
    summary, _ = workshop.run()

    assert workshop.statuses(summary) == {
        SALE: "loaded",
        "dwh.customer": "loaded",
        "dwh.dim_region": "skipped",
        READER: "loaded",
    }
    assert workshop.totals() != totals
    assert workshop.totals() == workshop.query(TOTALS_BY_HAND)


def test_test_files_follow_as_if_made_under_the_new_name(workshop: Workshop) -> None:
    folder = workshop.root / "dbt_project" / "unit_tests"
    folder.mkdir(exist_ok=True)
    body = (
        f'target: {FACT}\ncolumns:\n  lake.orders: {{note: varchar}}\n  "{FACT}": {{note: varchar}}\n'
        "unit_tests:\n  - name: dwh__fact_order_rows\n    model: dwh__fact_order\n    given:\n"
        "      - input: source('lake', 'orders')\n        rows: [{note: dwh.fact_order}]\n"
        "    expect:\n      rows:\n        - {note: 'dwh.fact_order: kept'}\n"
        "histories:\n  - name: dwh__fact_order_history\n    batches: []\n"
    )
    own, reader = folder / f"{FACT}.yml", folder / f"{READER}.yml"
    own.write_text(marked(body, "environment dev"))
    reader.write_text(
        f"target: {READER}\nunit_tests:\n  - given:\n      - input: ref('dwh__fact_order')\n"
        "      - input: \"source('dwh', 'fact_order')\"\n"
        f"histories:\n  - batches:\n      - rows:\n          {FACT}: []\n"
    )
    for until in (3, 4):
        rename(workshop, FACT, SALE, until=until)  # killed before and after the file has moved
    rename(workshop, FACT, SALE)

    assert sorted(path.name for path in folder.iterdir()) == [f"{SALE}.yml", f"{READER}.yml"]
    text = (folder / f"{SALE}.yml").read_text()
    assert is_untouched(text), "no person has edited it"
    renamed = body.replace("name: dwh__", "name: core__").replace("__fact_order", "__sale").replace("dwh__", "core__")
    renamed = renamed.replace(f"target: {FACT}", f"target: {SALE}").replace(f'"{FACT}"', f'"{SALE}"')
    assert text.endswith(renamed)
    assert reader.read_text() == (
        f"target: {READER}\nunit_tests:\n  - given:\n      - input: ref('core__sale')\n"
        f"      - input: \"source('core', 'sale')\"\nhistories:\n  - batches:\n      - rows:\n          {SALE}: []\n"
    )


def test_test_file_of_the_new_name_is_not_written_over(workshop: Workshop) -> None:
    folder = workshop.root / "dbt_project" / "unit_tests"
    folder.mkdir(exist_ok=True)
    for name in (FACT, SALE):
        (folder / f"{name}.yml").write_text(f"target: {name}\n# by {name}\n")
    with pytest.raises(ConfigurationError, match=r"core\.sale\.yml exists already beside .*dwh\.fact_order\.yml"):
        plan_rename(workshop.context, FACT, SALE)


def test_killed_between_two_steps_the_same_command_does_the_rest(workshop: Workshop) -> None:
    """And nothing is loaded meanwhile; there and back again, stopped after another step each time."""
    names = [FACT, SALE]
    for until in range(1, len(STEPS)):
        old, new = names
        before = ledger(workshop, *old.split("."))
        assert len(rename(workshop, old, new, until=until)) == until

        if until < STEPS.index("rows") + 1:
            assert held(workshop) == dict.fromkeys((old, READER), Reason.RENAME_UNFINISHED)
            with pytest.raises(MetadataError, match="holds 2 faults"):
                applied(workshop)
            with pytest.raises(ConfigurationError, match="Not finished yet: the renaming of"):
                plan_rename(workshop.context, old, "dwh.third")
            with pytest.raises(ConfigurationError, match="Not finished yet: the renaming of"):
                refuse_unfinished_renaming(workshop.context)

        plan = plan_rename(workshop.context, old, new)
        assert plan.is_done == (until > STEPS.index("rows"))
        if not plan.is_done:
            assert plan.begun is not None
            assert list(rename_steps(workshop.context, plan))[-1] == "models"
        assert ledger(workshop, *new.split(".")) == before
        assert applied(workshop).is_empty
        assert plan_rename(workshop.context, old, new).is_done
        names.reverse()
    assert {item.reason for item in workshop.plan().decisions} == {Reason.NOTHING_NEW}


def test_run_after_a_kill_loads_neither_the_target_nor_its_readers(workshop: Workshop) -> None:
    workshop.close()
    script = f"""
import os, signal
from flows.context import load_context
from flows.lifecycle.rename import plan_rename, rename_steps
context = load_context()
for step in rename_steps(context, plan_rename(context, {FACT!r}, {SALE!r})):
    if step == "warehouse":
        os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    killed = subprocess.run([sys.executable, "-c", script], cwd=workshop.root, env=environment, check=False)
    assert killed.returncode == -9
    workshop.land_orders("more", range(30, 40), "2013-01-03 12:00:00")

    summary, _ = workshop.run()

    assert workshop.statuses(summary) == {
        FACT: "held",
        "dwh.customer": "loaded",
        "dwh.dim_region": "skipped",
        READER: "held",
    }
    message = next(item.decision.message for item in summary.outcomes if item.target == FACT)
    assert message.endswith(f"is not finished. Finish it: sluice rename {FACT} {SALE}.")
    assert FACT not in tables(workshop)
    workshop.close()

    code, document = run_json(workshop, "rename", FACT, SALE, "--yes")

    assert (code, document["is_resumed"], document["is_renamed"]) == (0, True, True)
    assert document["tables"] == []
    summary, _ = workshop.run()
    assert workshop.statuses(summary)[SALE] == workshop.statuses(summary)[READER] == "loaded"
    assert applied(workshop).is_empty


def test_run_and_backfill_planned_before_leave_the_target_alone(workshop: Workshop) -> None:
    workshop.land_orders("more", range(30, 40), "2013-01-03 12:00:00")
    run = workshop.plan()
    backfill = plan_backfill(workshop.context, BackfillRequest(FACT, "2013-01-01", requested_by="tester"))
    rename(workshop, FACT, SALE)

    summary = execute(workshop.context, run)
    refilled = run_backfill(workshop.context, backfill)

    assert workshop.statuses(summary) == {
        FACT: "skipped",
        "dwh.customer": "loaded",
        "dwh.dim_region": "skipped",
        READER: "skipped",
    }
    message = next(item.decision.message for item in summary.outcomes if item.target == FACT)
    assert "came after this run was planned" in message
    assert [item.error for item in refilled.targets] == [message]
    assert FACT not in tables(workshop)


def test_of_two_renamings_at_once_one_is_refused_with_the_reason(workshop: Workshop) -> None:
    workshop.close()
    both = [workshop.sluice("rename", FACT, new, "--yes", "--json") for new in (SALE, "core.receipt")]
    ended = [finish(process) for process in both]

    winners = [new for new, (code, _, _) in zip((SALE, "core.receipt"), ended, strict=True) if code == 0]
    assert len(winners) == 1, ended
    (loser,) = [out for code, out, _ in ended if code != 0]
    assert "Not finished yet" in loser or "is being loaded by" in loser or f"It was renamed to {winners[0]}" in loser
    schema, table = winners[0].split(".")
    assert len(ledger(workshop, schema, table)[0]) == 20
    assert not {name for name in tables(workshop) if "fact_order" in name}
    assert applied(workshop).is_empty


@pytest.mark.parametrize("prune", [False, True])
def test_files_that_came_with_the_new_name_are_taken_as_they_are(workshop: Workshop, *, prune: bool) -> None:
    """In the next environment: the files were renamed in the first one, and maybe applied already."""
    before = ledger(workshop, "dwh", "fact_order")
    definition = workshop.query("select definition from sluice.mart__region_total__head")
    rows = control_rows()
    rows["transformations"][0]["target_table"] = "fact_sale"
    rows["transformations"][3]["dependencies"][0]["table"] = "dwh.fact_sale"
    workshop.write_select("region_total", (workshop.root / READER_FILE).read_text().replace(FACT, "dwh.fact_sale"))
    workshop.apply(rows, prune=prune)
    assert held(workshop) == ({"dwh.fact_sale": Reason.ROW_RENAMED} if prune else {})

    plan = plan_rename(workshop.context, FACT, "dwh.fact_sale")
    assert [(change.id.key, change.kind) for change in plan.changes] == ([] if prune else [(FACT, "remove")])
    assert plan.files == ()
    for _ in rename_steps(workshop.context, plan):
        pass

    assert ledger(workshop, "dwh", "fact_sale") == before
    assert applied(workshop).is_empty
    assert workshop.query("select definition from sluice.mart__region_total__head") != definition
    assert verify(workshop.context, READER).older_count == 0
    assert {item.reason for item in workshop.plan().decisions} == {Reason.NOTHING_NEW}


def test_target_that_was_never_loaded_is_a_row_and_its_file(workshop: Workshop) -> None:
    rows = control_rows()
    rows["transformations"].append({**rows["transformations"][2], "target_table": "dim_area", "is_active": False})
    workshop.apply(rows)

    plan = plan_rename(workshop.context, "dwh.dim_area", "core.dim_area")
    assert (plan.warehouse.is_nothing, plan.warehouse.row_count) == (True, None)
    assert [step for step in rename_steps(workshop.context, plan) if "/" in step] == [ROWS_FILE]

    assert not workshop.row_of("core.dim_area").is_active
    assert applied(workshop).is_empty
    assert "core.dim_area" not in tables(workshop)


def test_warehouse_that_refuses_leaves_everything_as_it_was(workshop: Workshop) -> None:
    workshop.execute("create index by_order on dwh.fact_order (order_id)")
    before = (workshop.root / ROWS_FILE).read_text()

    with pytest.raises(HardRunError, match=r"dwh.fact_order was not renamed, and nothing was changed: .*depend"):
        rename(workshop, FACT, "dwh.fact_sale")

    assert (workshop.root / ROWS_FILE).read_text() == before
    assert {item.reason for item in workshop.plan().decisions} == {Reason.NOTHING_NEW}
    assert workshop.context.store.lifecycle(unfinished_only=True) == ()
    workshop.execute("drop index dwh.by_order")
    assert rename(workshop, FACT, "dwh.fact_sale")[-1] == "models"


def test_target_that_another_run_holds_waits(workshop: Workshop) -> None:
    plan = plan_rename(workshop.context, FACT, SALE)
    with LeaseKeeper(workshop.context.store, run_id="other", held_by="ann") as keeper:
        keeper.take([READER])
        with pytest.raises(SoftRunError, match=r"mart\.region_total is being loaded by ann"):
            list(rename_steps(workshop.context, plan))
    assert workshop.context.store.lifecycle() == ()


def test_plan_that_is_out_of_date_is_refused(workshop: Workshop) -> None:
    plan = plan_rename(workshop.context, FACT, SALE)
    path = workshop.root / ROWS_FILE
    path.write_text(path.read_text() + "# another line\n")
    with pytest.raises(SoftRunError, match="changed since the plan"):
        list(rename_steps(workshop.context, plan))
    assert workshop.context.store.lifecycle() == ()


def _drop_table(workshop: Workshop) -> None:
    workshop.execute("drop table dwh.fact_order")


def _add_foreign(workshop: Workshop) -> None:
    workshop.execute("create schema core", "create view core.sale as select 1 as one")


def _spoil_select(workshop: Workshop) -> None:
    (workshop.root / READER_FILE).write_text("select from where")


def _drop_head(workshop: Workshop) -> None:
    workshop.execute("drop table sluice.dwh__fact_order__head")


@pytest.mark.parametrize(
    ("new", "spoil", "message"),
    [
        (FACT, None, "has this name already"),
        ("fact_sale", None, "'fact_sale' is not schema.table"),
        ("dwh.Sale; drop", None, "is not schema.table"),
        ("dwh.customer", None, "dwh.customer is another transformation"),
        ("lake.orders", None, "lake.orders is a source"),
        ("sluice.orders", None, "1 fault"),
        (SALE, _add_foreign, "The warehouse holds core.sale already"),
        (SALE, _drop_table, "The table dwh.fact_order is gone"),
        (SALE, _drop_head, "was not created by Sluice"),
        (SALE, _spoil_select, "is not one SELECT that can be read"),
    ],
)
def test_refused_with_the_reason_and_nothing_changed(workshop: Workshop, new: str, spoil: Any, message: str) -> None:
    if spoil is not None:
        spoil(workshop)
    files = _files(workshop)
    with pytest.raises(SluiceError, match=message):
        plan_rename(workshop.context, FACT, new)
    assert _files(workshop) == files
    assert workshop.context.store.lifecycle() == ()


def test_unknown_target_is_refused_with_what_there_is(workshop: Workshop) -> None:
    with pytest.raises(ConfigurationError, match=r"no transformation 'dwh\.fact_ordr'") as caught:
        plan_rename(workshop.context, "dwh.fact_ordr", SALE)
    assert "dwh.fact_order" in caught.value.hint


def _files(workshop: Workshop) -> dict[str, str]:
    folder = workshop.root / "dbt_project"
    return {
        path.name: path.read_text() for part in ("control", "transformations") for path in (folder / part).iterdir()
    }
