"""Every fault at every statement of a load, through the real dbt-redshift adapter: all or nothing and a retry."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.redshift_standin.journal import Action, Entry, Fault
from tests.redshift_standin.server import Standin
from tests.support.failures import is_soft
from tests.support.redshift_project import RedshiftProject
from tests.support.stopped_loads import EVENTS, INCREMENT, KINDS, WIDE, WIDER, add_source, add_targets, state

pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]

SOFT = {
    "conflict": Fault("", "could not complete because of conflict with concurrent transaction"),
    "violation": Fault("", "1023", detail="Serializable isolation violation on table - 104302"),
    "gone": Fault("", "1018", detail="Relation does not exist."),
    "oid": Fault("", "could not open relation with OID 104302"),
    "reset": Fault("", action=Action.DROP),
    "silence": Fault("", action=Action.DROP_AFTER),
}
FAULTS = {**SOFT, "hard": Fault("", "permission denied for relation events", code="42501")}
LEAST_STATEMENTS = 20
POST_HOOKS = "{{ run_hooks(post_hooks, inside_transaction=True) }}"
# CI takes one fault at every second statement from a history's transaction on, and at some before; the whole takes an
# hour.
EVERY_STATEMENT = bool(os.environ.get("EVERY_STATEMENT"))
WRITE_STEP, OTHER_STEP = 2, 5


def _cases(sent: Mapping[str, Sequence[Entry]]) -> Iterator[tuple[str, str, Fault]]:
    """A target for each fault at each statement of a load: its name, the fault's name, and the fault."""
    for kind, entries in sent.items():
        (log,) = [entry for entry in entries if entry.kind == "insert" and "load_log" in entry.sql]
        end = entries.index(log)
        begin = next(number for number, entry in enumerate(entries) if entry.transaction == log.transaction)
        for number in range(len(entries)):
            is_write = kind == "scd2" and number >= begin and (number >= end or (number - begin) % WRITE_STEP == 0)
            if EVERY_STATEMENT or is_write or number % OTHER_STEP == 0:
                for name in FAULTS if EVERY_STATEMENT else [list(FAULTS)[number % len(FAULTS)]]:
                    target = f"{kind}_{name}_{number}"
                    yield target, name, replace(FAULTS[name], node=target, skip=number)


@pytest.mark.timeout(7200)
def test_a_fault_at_any_statement_leaves_all_or_nothing_and_the_retry_completes(
    redshift_standin: Standin, tmp_path: Path
) -> None:
    """The twins of the targets load first, undisturbed, and tell how many statements a load has."""
    project = RedshiftProject(tmp_path, redshift_standin)
    journal = redshift_standin.journal
    project.execute("create schema lake")
    add_source(project)
    twins = {kind: f"{kind}_twin" for kind in KINDS}
    add_targets(project, twins.values())
    project.insert("lake.events", EVENTS)
    _succeed(project)
    before = {kind: state(project, twin) for kind, twin in twins.items()}
    project.insert("lake.events", INCREMENT)
    journal.clear()
    _succeed(project, env=WIDER)
    sent = {kind: [entry for entry in journal.entries if entry.node == twin] for kind, twin in twins.items()}
    assert min(map(len, sent.values())) > LEAST_STATEMENTS
    after = {kind: state(project, twin) for kind, twin in twins.items()}
    whole = {kind: state(project, twin, WIDE) for kind, twin in twins.items()}

    cases = list(_cases(sent))
    project.execute("delete from lake.events where landed = 2")
    add_targets(project, [target for target, _, _ in cases])
    _succeed(project, "--exclude", "*_twin")
    project.insert("lake.events", INCREMENT)
    journal.clear()
    journal.faults += [fault for _, _, fault in cases]
    result = project.run("--exclude", "*_twin", env=WIDER)
    journal.clear()

    done = 0
    for target, name, fault in cases:
        assert fault.hits == 1, target
        has_failed = result.statuses[target] == "error"
        assert has_failed or name == "silence", target
        assert not has_failed or is_soft(result.messages[target]) == (name in SOFT), result.messages[target]
        kind = target.partition("_")[0]
        found = state(project, target)
        assert found in (before[kind], after[kind]), target
        done += found == after[kind]
    assert 0 < done < len(cases)
    assert {name for _, name, _ in cases} == set(FAULTS)
    _succeed(project, "--exclude", "*_twin", env=WIDER)
    for target, _, _ in cases:
        assert state(project, target, WIDE) == whole[target.partition("_")[0]], target


@pytest.mark.parametrize("is_in_post_hook", [False, True])
def test_a_log_row_in_a_post_hook_outlives_its_rows_when_the_adapter_retries(
    redshift_standin: Standin, tmp_path: Path, is_in_post_hook: bool
) -> None:
    """The mutant that the test above exists for: dbt is content, the watermark has moved, and the rows are lost.

    The adapter's own retry opens a new connection and repeats one `statement()` only, which must be the whole load.
    """
    project = RedshiftProject(tmp_path, redshift_standin, retries=1)
    if is_in_post_hook:
        path, log = "load/commit_load.sql", "sluice.insert_log_sql(load)"
        project.patch_macro(path, "{%- do parts.append(" + log + ") -%}", "")
        hook = "{%- call statement('hook') -%} {{ " + log + " }} {%- endcall -%}"
        project.patch_macro(path, POST_HOOKS, hook + POST_HOOKS)
    project.execute("create schema lake")
    add_source(project)
    add_targets(project, ["scd2_twin", "scd2_hit"])
    project.insert("lake.events", EVENTS)
    _succeed(project)
    project.insert("lake.events", INCREMENT)
    conflict = replace(SOFT["conflict"], pattern="insert into [^ ]*load_log", node="scd2_hit")
    redshift_standin.journal.faults.append(conflict)
    (*rows, _) = state(project, "scd2_hit")
    result = project.run()
    assert conflict.hits == 1
    (*found_rows, found_log) = state(project, "scd2_hit")
    assert found_rows == rows
    assert (found_log == state(project, "scd2_twin")[-1]) is is_in_post_hook
    assert result.success is is_in_post_hook


def _succeed(project: RedshiftProject, *arguments: str, env: Mapping[str, object] | None = None) -> None:
    result = project.run(*arguments, env=env)
    assert result.success, (result.error, result.messages)
