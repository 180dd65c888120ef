"""Runs that meet: the later one leaves targets to the earlier one, says who has them, and takes over from the dead."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace

from flows.engine.engine import execute
from flows.engine.rerun import rerun_refused
from flows.gate.facts import Action, Decision, Reason
from flows.gate.rules import skip_leased
from flows.run.leases import LeaseKeeper, foreign_leases, wait_until_free
from flows.run.model import RunRequest
from flows.run.outcome import record_decisions
from metadata_sync.database import LeaseHolder
from tests.support.engine_project import REPOSITORY, TOTALS_BY_HAND, Recorder, Workshop, finish, run_json

HOLD_AND_WAIT = """
import sys, time
from flows.run.leases import LeaseKeeper
from metadata_sync.database import ControlStore
store = ControlStore.open(sys.argv[1], "dev")
with LeaseKeeper(store, run_id="elsewhere", held_by="ben", seconds=float(sys.argv[2])) as keeper:
    keeper.take(["dwh.fact_order"])
    print("held", flush=True)
    time.sleep(600)
"""

BEN = LeaseHolder("token", "elsewhere", "ben", "another-machine", 7, "boot/1")


def hold_in_another_process(workshop: Workshop, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_WAIT, f"sqlite:///{workshop.control}", str(seconds)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def stop_between_transactions(workshop: Workshop, process: subprocess.Popen[str]) -> None:
    """Stop a process at a moment when it does not hold the control database's file."""
    while True:
        os.kill(process.pid, signal.SIGSTOP)
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(workshop.control, timeout=0)) as file:
            file.execute("begin immediate")
            return
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.05)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_target_that_another_run_loads_is_left_to_it_and_so_are_its_readers(workshop: Workshop) -> None:
    workshop.context.store.take_leases(["dwh.fact_order"], BEN, 60)
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    summary, _ = workshop.run()
    reasons = {outcome.target: outcome.decision.reason for outcome in summary.outcomes}
    code, shown = run_json(workshop, "why", "dwh.fact_order")
    workshop.context.store.give_back_leases(BEN.token, ["dwh.fact_order"])
    after, _ = workshop.run()

    assert workshop.statuses(summary)["dwh.customer"] == "loaded"
    assert reasons["dwh.fact_order"] is Reason.LEASE_HELD
    assert reasons["mart.region_total"] is Reason.UPSTREAM_RUNNING
    assert not summary.has_failed
    assert code == 0
    assert "ben (run elsewhere, process 7 on another-machine" in shown["message"]
    assert shown["remedy"] is None
    assert workshop.statuses(after)["mart.region_total"] == "loaded"
    assert workshop.totals() == workshop.query(TOTALS_BY_HAND)


def test_run_that_is_overtaken_between_plan_and_load_leaves_the_target_alone(workshop: Workshop) -> None:
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    plan = workshop.plan("orders")
    recorder = Recorder()
    workshop.context.store.take_leases(["dwh.fact_order", "dwh.customer"], BEN, 60)

    summary = execute(workshop.context, plan, recorder)

    assert {decision.target: decision.action for decision in plan.decisions}["dwh.fact_order"] is Action.RUN
    assert set(workshop.statuses(summary).values()) == {"skipped"}
    assert not recorder.waves
    decided = workshop.context.store.latest_decisions("dwh.fact_order", limit=1)[0]
    assert (decided.action, decided.reason) == ("skip", "lease_held")


def test_run_that_kept_another_out_runs_for_it_at_its_end(workshop: Workshop) -> None:
    """What the other came for had landed after the first had read its sources."""
    store = workshop.context.store
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    plan = workshop.plan("orders")

    def turn_ben_away(event: object) -> None:
        if not turned_away and event.info.name == "LogModelResult":  # type: ignore[attr-defined]
            turned_away.append(skip_leased(plan.decisions[0], "anna"))
            record_decisions(store, "bens", turned_away, store.now())
            workshop.land_orders("day_3", range(30, 40), "2013-01-04 12:00:00")

    turned_away: list[Decision] = []
    recorder = Recorder(dbt_callbacks=[turn_ben_away])
    execute(workshop.context, plan, recorder)
    before = workshop.query("select count(*) from dwh.fact_order")
    (made_up,) = rerun_refused(workshop.context, plan, recorder)

    assert before == [(25,)]
    assert workshop.query("select count(*) from dwh.fact_order") == [(35,)]
    assert made_up.request == RunRequest(("orders",), requested_by="tester (in place of refused runs)")
    assert rerun_refused(workshop.context, plan) == (), "nobody is waiting any more"


def test_run_for_others_ends_at_once_when_nothing_is_left_and_insists_when_they_did(workshop: Workshop) -> None:
    store = workshop.context.store
    idle, forced = workshop.plan("orders"), workshop.plan("orders", is_forced=True)

    record_decisions(store, "bens", [skip_leased(idle.decisions[0], "anna")], store.now())
    assert rerun_refused(workshop.context, idle) == ()
    record_decisions(store, "carls", [skip_leased(forced.decisions[0], "anna")], store.now())
    (made_up,) = rerun_refused(workshop.context, idle)

    assert {outcome.decision.reason for outcome in made_up.outcomes} == {Reason.FORCED}


def test_leases_are_given_back_when_the_run_ends_and_held_while_it_loads(workshop: Workshop) -> None:
    seen: list[list[str]] = []
    store = workshop.context.store

    def look(event: object) -> None:
        if event.info.name == "NodeStart":  # type: ignore[attr-defined]
            seen.append([lease.target for lease in store.leases()])

    recorder = Recorder(dbt_callbacks=[look])
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    execute(workshop.context, workshop.plan(), recorder)

    assert ["dwh.customer", "dwh.fact_order"] in seen
    assert ["mart.region_total"] in seen
    assert store.leases() == ()


def test_lease_of_a_killed_process_is_taken_over_at_once(workshop: Workshop) -> None:
    holder = hold_in_another_process(workshop, 600)
    store = workshop.context.store
    assert set(foreign_leases(store)) == {"dwh.fact_order"}

    end(holder)

    assert foreign_leases(store) == {}
    with LeaseKeeper(store, run_id="next", held_by="anna") as keeper:
        assert keeper.take(["dwh.fact_order"]) == ()


def test_lease_lives_as_long_as_its_holder_gives_signs_of_life(workshop: Workshop) -> None:
    holder = hold_in_another_process(workshop, 1.0)
    store = workshop.context.store
    try:
        time.sleep(2.0)
        assert set(foreign_leases(store)) == {"dwh.fact_order"}

        stop_between_transactions(workshop, holder)
        wait_until_free(store, ["dwh.fact_order"], 60)
        with LeaseKeeper(store, run_id="next", held_by="anna") as keeper:
            assert keeper.take(["dwh.fact_order"]) == ()
            os.kill(holder.pid, signal.SIGCONT)
            time.sleep(1.0)  # it wakes, renews, and finds that nothing is left to renew
            assert [lease.holder.held_by for lease in store.leases()] == ["anna"]
    finally:
        end(holder)


def test_process_of_another_machine_is_not_taken_for_dead(workshop: Workshop) -> None:
    """Its process id means nothing here; only time tells."""
    store = workshop.context.store
    store.take_leases(["dwh.fact_order"], replace(BEN, pid=2**22 + 1), 60)

    assert set(foreign_leases(store)) == {"dwh.fact_order"}


def test_run_waits_for_another_when_it_is_told_to(workshop: Workshop) -> None:
    workshop.context.store.take_leases(["dwh.fact_order"], BEN, 600)
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    process = workshop.sluice("run", "orders", "--wait", "600")
    assert process.stderr is not None
    said = process.stderr.readline()
    workshop.context.store.give_back_leases(BEN.token, ["dwh.fact_order"])
    code, _, _ = finish(process)

    assert said.startswith("dwh.fact_order is being loaded by ben (run elsewhere")
    assert code == 0
    assert workshop.query("select count(*) from dwh.fact_order") == [(25,)]
