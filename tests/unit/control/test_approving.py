"""A promotion and a rollback into a protected environment: rows and SELECTs wait together, and come together."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest

from metadata_sync.analysis import kept_selects
from metadata_sync.control.approving import approve, plan_approval
from metadata_sync.control.promotion import plan_promotion
from metadata_sync.control.restoring import carry_out
from metadata_sync.control.rollback import plan_rollback
from metadata_sync.database import ControlStore, Via
from metadata_sync.database.approval.identity import acting_for
from metadata_sync.database.approval.model import ProposalStatus, Role
from metadata_sync.database.approval.protection import grant_row
from metadata_sync.database.journals.select_texts import text_hash
from metadata_sync.errors import ApprovalNeededError, RequestError, StaleRowError, StoreError
from metadata_sync.project import Project
from tests.unit.control.test_restoring import SELECT, Side, edit, file_of, sides

__all__ = ["sides"]

NEW = SELECT.replace("carrier,", "tailnum as carrier,")


@pytest.fixture
def waiting(sides: tuple[Side, Side]) -> Side:
    """Prod, protected, where ada has proposed what stage ran: another SELECT and another value of its row."""
    stage, prod = sides
    approvals = prod.store.approvals
    approvals.change_protection([grant_row(Role.CI, approvals.caller().account)], None)
    approvals.protect("it is production")
    edit(stage, "tailnum")
    stage.set("max_rejects=7")
    file_of(prod.project).write_text(SELECT)
    with acting_for("ada"), pytest.raises(ApprovalNeededError):
        carry_out(prod.context, plan_promotion(prod.context, stage.store), Via.PROMOTE, "release 41")
    return prod


def decided(prod: Side, who: str = "bob", number: int = 1) -> str:
    with acting_for(who):
        return approve(prod.context, prod.store.approvals.find(number))


def test_rows_and_selects_wait_and_come_together(waiting: Side) -> None:
    prod = waiting
    assert (prod.row().max_rejects, file_of(prod.project).read_text()) == (None, SELECT)
    with pytest.raises(StoreError, match="same identity"):
        decided(prod, "ada")
    assert file_of(prod.project).read_text() == SELECT

    plan = plan_approval(prod.context, prod.store.approvals.find(1))
    assert [(item.before, item.after) for item in plan.selects] == [(SELECT, NEW)]
    change = decided(prod)
    assert (prod.row().max_rejects, file_of(prod.project).read_text()) == (7, NEW)
    entries = [entry for entry in prod.store.history() if entry.change_id == change]
    assert {entry.column for entry in entries} == {"max_rejects", "select"}
    assert {(entry.who, entry.approved_by) for entry in entries} == {("ada", "bob")}

    with acting_for("bob"), pytest.raises(ApprovalNeededError):
        carry_out(prod.context, plan_rollback(prod.context, change), Via.ROLLBACK, None)
    decided(prod, "ada", 2)
    assert (prod.row().max_rejects, file_of(prod.project).read_text()) == (None, SELECT)
    assert prod.store.select_hashes() == {"transformations/dim_aircraft.sql": text_hash(SELECT)}


def test_select_alone_waits(sides: tuple[Side, Side]) -> None:
    stage, prod = sides
    prod.store.approvals.protect(None)
    edit(stage, "tailnum")
    file_of(prod.project).write_text(SELECT)
    with pytest.raises(ApprovalNeededError):
        carry_out(prod.context, plan_promotion(prod.context, stage.store), Via.PROMOTE, None)
    assert [row.table for row in prod.store.approvals.find(1).rows] == ["select"]
    assert file_of(prod.project).read_text() == SELECT
    assert plan_approval(prod.context, prod.store.approvals.find(1)).texts == {"transformations/dim_aircraft.sql": NEW}


def test_file_that_the_proposal_did_not_see_is_not_overwritten(waiting: Side) -> None:
    file_of(waiting.project).write_text(SELECT + "-- by hand\n")
    with pytest.raises(RequestError, match="neither what the proposal changes nor what it brings"):
        decided(waiting)
    assert file_of(waiting.project).read_text() == SELECT + "-- by hand\n"
    assert waiting.store.approvals.find(1).status is ProposalStatus.OPEN
    file_of(waiting.project).write_text(NEW)  # it came by git meanwhile
    decided(waiting)
    assert waiting.row().max_rejects == 7


def test_stale_proposal_leaves_the_file(waiting: Side) -> None:
    other = waiting.store.approvals
    with acting_for("ada"), pytest.raises(ApprovalNeededError):
        waiting.set("max_rejects=9")
    decided(waiting, "bob", 2)
    with pytest.raises(StaleRowError, match="Proposal 1 is stale"):
        decided(waiting)
    assert other.find(1).status is ProposalStatus.STALE
    assert file_of(waiting.project).read_text() == SELECT


def _approve_and_die(project: Project, url: str, moment: str) -> None:
    """Approve as bob in a process that is killed at a moment."""

    def die(*_arguments: object, **_named: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with ControlStore.open(url, "prod") as store, acting_for("bob"), pytest.MonkeyPatch.context() as patch:
        from metadata_sync.database.approval import desk

        if moment == "before the file":
            patch.setattr(kept_selects, "_replace", die)
        elif moment == "before the rows":
            patch.setattr(desk, "write_changes", die)
        else:
            patch.setattr(desk.select_texts, "append", die)
        approve(Side(project, store).context, store.approvals.find(1))


@pytest.mark.parametrize("moment", ["before the file", "before the rows", "before the commit"])
def test_approval_that_is_killed_can_be_repeated(waiting: Side, store_url: str, moment: str) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=_approve_and_die, args=(waiting.project, store_url, moment)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert waiting.store.approvals.find(1).status is ProposalStatus.OPEN
    assert waiting.row().max_rejects is None
    decided(waiting)
    assert (waiting.row().max_rejects, file_of(waiting.project).read_text()) == (7, NEW)
