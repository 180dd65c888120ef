"""Protected environments: proposals in place of changes, another identity's approval, overrides, roles."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from metadata_sync.database import ControlStore, Via
from metadata_sync.database.approval import identity
from metadata_sync.database.approval.model import Identity, ProposalStatus, ProposedRow, Role, folded
from metadata_sync.database.approval.protection import grant_row
from metadata_sync.database.journals.settlement import Amendment, Settlement
from metadata_sync.errors import ApprovalNeededError, RequestError, StaleRowError, StoreError
from metadata_sync.rows.merge import RowChange, all_rows, replaced
from metadata_sync.rows.vocabulary import DeactivatedBy
from tests.support.control_support import pipeline, rows, source, transformation

LIST = [{"name": "id", "type": "int"}]
RICH = rows(
    source("lake.flights", freshness_minutes=120, owner="Zoë"),
    pipeline(spark_threshold_gb="0.1234567890123456789", emr_instance_types=["r5.4xlarge"]),
    transformation(backfill_start="2013-01-01T00:00:00+00:00", sequence_by=["departed_at", "lsn"], max_rejects=0),
    transformation(
        "dwh.fact", load_type="append", business_key=[], backfill_start=42, column_list=[{"name": "id", "type": "int"}]
    ),
)

As = Callable[[str], ControlStore]


@pytest.fixture
def as_role(store: ControlStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[As]:
    """Open the store as another identity: a role of PostgreSQL, or (SQLite) whom CI names."""
    opened: dict[str, ControlStore] = {}
    url = store._engine.url

    def open_as(name: str) -> ControlStore:
        if url.get_backend_name() == "sqlite":
            monkeypatch.setenv("GITHUB_ACTIONS", "true")
            monkeypatch.setenv("GITHUB_ACTOR", name)
            return store
        if name not in opened:
            role = name.replace(" ", "")
            _run(
                store,
                f"""DO $$ BEGIN CREATE ROLE "{role}" LOGIN PASSWORD 'pw';
                EXCEPTION WHEN duplicate_object THEN NULL; END $$""",
            )
            _run(store, f'GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO "{role}"')
            mine = url.set(username=role, password="pw").render_as_string(hide_password=False)
            opened[name] = ControlStore.open(mine, store.environment)
        return opened[name]

    yield open_as
    for other in opened.values():
        other.close()


@pytest.fixture
def prod(store: ControlStore, as_role: As) -> ControlStore:
    """A protected environment with rows."""
    changes = [RowChange(before=None, after=row, declared=row) for row in all_rows(RICH)]
    store.write(changes, "ada", Via.APPLY, "first")
    as_role("ada").approvals.protect("it is production")
    return store


def _run(store: ControlStore, *statements: str) -> None:
    with store._engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _raise(**values: object) -> RowChange:
    (before,) = [row for row in RICH.transformations if row.key == "dwh.fact"]
    return RowChange(before, replaced(before, **values))


def _propose(store: ControlStore, *changes: RowChange, via: str = Via.SET) -> int:
    with pytest.raises(ApprovalNeededError) as caught:
        store.write(changes, "somebody", via, "needed")
    assert caught.value.exit_code == 4
    return int(caught.value.subject or "")


def _approve(store: ControlStore, number: int) -> str:
    return store.approvals.approve(number, store.approvals.find(number).digest)


def _rejects(store: ControlStore) -> int | None:
    return next(row.max_rejects for row in store.read_rows().transformations if row.key == "dwh.fact")


def test_a_change_waits_until_another_identity_approves_it(prod: ControlStore, as_role: As) -> None:
    number = _propose(as_role("ada"), _raise(max_rejects=7))
    assert _rejects(prod) is None
    change = _approve(as_role("bob"), number)
    assert _rejects(prod) == 7
    (entry,) = [item for item in prod.history("dwh.fact") if item.change_id == change]
    assert (entry.who, entry.approved_by, entry.proposal, entry.reason) == ("ada", "bob", number, "needed")
    found = prod.approvals.find(number)
    assert (found.status, str(found.decider), found.on_behalf_of) == (ProposalStatus.APPROVED, "bob", "somebody")


def test_rows_of_all_kinds_and_changes_pass(prod: ControlStore, as_role: As) -> None:
    """Added, adopted, changed and removed, with numbers, lists and texts in every form."""
    (flights,), (line,) = RICH.sources, RICH.pipelines
    fact = RICH.transformations[1]
    new = transformation("dwh.new", backfill_start=7, max_rejects=3)
    ada = as_role("ada")
    number = _propose(
        ada,
        RowChange(None, new, declared=new),
        RowChange(fact, None),
        RowChange(flights, flights, declared=source("lake.flights", owner="Zoë")),
        RowChange(line, replaced(line, spark_threshold_gb=None, emr_instance_types=("m5.xlarge",), is_active=False)),
    )
    _approve(as_role("bob"), number)
    found = prod.read_rows()
    assert [row.key for row in found.transformations] == ["dwh.dim_aircraft", "dwh.new"]
    assert not found.pipelines[0].is_active


@pytest.mark.parametrize("other", ["ada", "ADA", " ada ", "a da", "aDa"])
def test_own_proposal_is_not_approved_by_another_spelling(prod: ControlStore, as_role: As, other: str) -> None:
    number = _propose(as_role("ada"), _raise(max_rejects=7))
    with pytest.raises(StoreError, match="same identity"):
        _approve(as_role(other), number)
    assert _rejects(prod) is None


def test_an_account_is_one_identity_whatever_variables_say(prod: ControlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    number = _propose(prod, _raise(max_rejects=7))
    for name in ("USER", "LOGNAME", "SLUICE_USER", "GITHUB_ACTOR"):
        monkeypatch.setenv(name, "bob")
    with pytest.raises(StoreError, match="same identity"):
        _approve(prod, number)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(StoreError, match="same identity"):
        _approve(prod, number)


def test_approval_is_not_replayed(prod: ControlStore, as_role: As) -> None:
    number = _propose(as_role("ada"), _raise(max_rejects=7))
    _approve(as_role("bob"), number)
    with pytest.raises(StoreError, match="approved already"):
        _approve(as_role("bob"), number)
    with pytest.raises(StoreError, match="approved already"):
        as_role("bob").approvals.reject(number, "no")
    with pytest.raises(RequestError, match="no proposal 99"):
        prod.approvals.find(99)


def test_stale_proposals_are_refused_and_marked(prod: ControlStore, as_role: As) -> None:
    first, second = _propose(as_role("ada"), _raise(max_rejects=7)), _propose(as_role("ada"), _raise(max_rejects=8))
    assert first == _propose(as_role("ada"), _raise(max_rejects=7)), "the same change is proposed once"
    _approve(as_role("bob"), first)
    with pytest.raises(StaleRowError, match="stale"):
        _approve(as_role("bob"), second)
    assert prod.approvals.find(second).status is ProposalStatus.STALE
    assert _rejects(prod) == 7


def test_the_digest_that_was_looked_at_is_the_one_approved(prod: ControlStore, as_role: As) -> None:
    number = _propose(as_role("ada"), _raise(max_rejects=7))
    with pytest.raises(StoreError, match="not the one"):
        as_role("bob").approvals.approve(number, "0" * 64)
    assert prod.approvals.find(number).status is ProposalStatus.OPEN


def test_two_approvals_at_once_apply_once(prod: ControlStore, as_role: As) -> None:
    number = _propose(as_role("ada"), _raise(max_rejects=7))
    bob, outcomes = as_role("bob"), list[str]()

    def approve() -> None:
        try:
            outcomes.append(_approve(bob, number) and "applied")
        except StoreError as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=approve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("applied") == 1
    assert len([item for item in prod.history("dwh.fact") if item.proposal == number]) == 1


def test_a_crash_between_decision_and_rows_leaves_it_open(
    prod: ControlStore, as_role: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = _propose(as_role("ada"), _raise(max_rejects=7))
    bob = as_role("bob")
    with monkeypatch.context() as patched:
        patched.setattr("metadata_sync.database.audit.append", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            _approve(bob, number)
    assert (prod.approvals.find(number).status, _rejects(prod)) == (ProposalStatus.OPEN, None)
    _approve(as_role("bob"), number)
    assert _rejects(prod) == 7


def _interrupt(*_args: object, **_named: object) -> str:
    raise KeyboardInterrupt


def test_the_protection_itself_is_protected(prod: ControlStore, as_role: As) -> None:
    off = ProposedRow("protected_environment", prod.environment, {"is_protected": True}, None)
    ada = as_role("ada")
    with pytest.raises(ApprovalNeededError) as caught:
        ada.approvals.change_protection([off], "just a moment")
    with pytest.raises(StoreError, match="same identity"):
        _approve(ada, int(caught.value.subject or ""))
    with pytest.raises(ApprovalNeededError) as granting:
        ada.approvals.change_protection([grant_row(Role.APPROVE, "Ada 2")], None)
    _approve(as_role("bob"), int(granting.value.subject or ""))
    assert prod.approvals.protection()[1] == {Role.APPROVE: ("ada2",)}
    with pytest.raises(StoreError, match="may not approve"):
        _approve(as_role("bob"), int(caught.value.subject or ""))
    _approve(as_role("ada2"), int(caught.value.subject or ""))
    assert prod.approvals.protection()[0] is None
    prod.write([_raise(max_rejects=9)], "ada", Via.SET, None)
    assert _rejects(prod) == 9


def test_override_needs_no_other_and_shows_in_the_audit(prod: ControlStore, as_role: As) -> None:
    ada = as_role("ada")
    number = _propose(ada, _raise(max_rejects=7))
    ada.approvals.approve(number, ada.approvals.find(number).digest, override="the night shift is alone")
    found = prod.approvals.find(number)
    assert (found.is_override, found.decision_reason) == (True, "the night shift is alone")
    assert [(item.who, item.approved_by) for item in prod.history("dwh.fact", 1)] == [("ada", "ada")]


def test_the_engine_goes_on_by_itself(prod: ControlStore, as_role: As) -> None:
    name = RICH.transformations[1].name
    off = Amendment(name, lambda row: replaced(row, is_active=False, deactivated_by=DeactivatedBy.FRAMEWORK), "fault")
    on = Amendment(name, lambda row: replaced(row, is_active=True), "healed")
    for amendment in (off, on):
        prod.settle(Settlement(amendments=(amendment,), judge=lambda _known: ((), ())))
    with pytest.raises(StoreError, match="only people"):
        prod.settle(
            Settlement(
                amendments=(Amendment(name, lambda row: replaced(row, max_rejects=1), "x"),),
                judge=lambda _known: ((), ()),
            )
        )
    taken = prod.read_rows().transformations[1]
    assert taken.is_active
    prod.write([RowChange(taken, replaced(taken, column_list=()))], "sluice", "framework", "taken")


def test_roles_bind_those_who_were_not_granted_them(prod: ControlStore, as_role: As) -> None:
    for role, name in ((Role.SWITCH, "carl"), (Role.RUN, "carl")):
        with pytest.raises(ApprovalNeededError) as caught:
            as_role("ada").approvals.change_protection([grant_row(role, name)], None)
        _approve(as_role("bob"), int(caught.value.subject or ""))
    with pytest.raises(StoreError, match="may not switch"):
        as_role("ada").write([_raise(is_active=False)], "x", Via.DEACTIVATE, None)
    with pytest.raises(StoreError, match="may not run"):
        as_role("ada").approvals.require(Role.RUN)
    as_role("ada").approvals.require(Role.RESTATE)
    as_role("carl").approvals.require(Role.RUN)
    _propose(as_role("carl"), _raise(is_active=False), via=Via.DEACTIVATE)


def test_ci_names_a_person_only_where_it_says_that_it_is_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity.ci_actor({"GITLAB_CI": "true", "GITLAB_USER_LOGIN": " ada "}) == "ada"
    assert identity.ci_actor({"CI": "true", "GITHUB_ACTOR": "ada"}) is None
    assert identity.ci_actor({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": " "}) is None
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "nobody-else")
    assert identity.system_user() != "nobody-else"
    assert folded("Ａda") == folded("ADA")
    assert not Identity("ada", "runner", True).is_same(Identity("bob", "runner", True))
    assert Identity("ada", "box").is_same(Identity("bob", "box", True))
