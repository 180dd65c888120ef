"""The map: what a newcomer asks, and the file that its name should lead to. Each file defines what its answer says."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.doc_pages import REPOSITORY

QUESTIONS = (
    # question, file, what it defines
    ("Where is a cluster ended?", "flows/spark/emr/calls.py", "end_cluster"),
    ("Where are clusters ended whose run is gone?", "flows/spark/emr/sweep.py", "sweep"),
    ("Where is the size of a cluster chosen?", "flows/spark/sizing/sizing.py", "size"),
    ("Where is it chosen whether a target runs on Spark?", "flows/spark/engine_choice.py", "choose_engine"),
    ("Where is an error classified?", "flows/errors/classify.py", "classify"),
    ("Where are a team's own rules for errors read?", "flows/errors/team_rules.py", "load_rules"),
    ("Where are alerts sent?", "flows/incidents/outbox.py", "deliver"),
    ("Where is the text of an alert written?", "flows/incidents/alert_text.py", "body_of"),
    ("Where are incidents opened and closed?", "flows/incidents/settle.py", "settle_incidents"),
    ("Where is a row switched on again?", "flows/upkeep/heal.py", "heal"),
    ("Where is it decided when heal looks again?", "flows/upkeep/heal_policy.py", "due_check"),
    ("Where are late pipelines found?", "flows/upkeep/monitor.py", "monitor"),
    ("Where is it decided whether a target runs?", "flows/gate/rules.py", "decide"),
    ("Where are the sources asked for new rows?", "flows/gate/probe.py", "Prober"),
    ("Where does the text of `sluice why` come from?", "flows/gate/explain.py", "explain"),
    ("Where are targets put into order?", "flows/run/selection.py", "order_by_data"),
    ("Where is a failed target tried again?", "flows/run/retry.py", "RetryBook"),
    ("Where are two runs kept off the same target?", "flows/run/leases.py", "LeaseKeeper"),
    ("Where does a run begin?", "flows/engine/engine.py", "prepare"),
    ("Where are runs that were killed cleaned up?", "flows/engine/recovery.py", "mark_crashes"),
    ("Where is dbt called?", "flows/dbt/runner.py", "DbtRunner"),
    ("Where is profiles.yml read?", "flows/warehouse/profile.py", "load_profile"),
    ("Where are the files of the lake listed?", "flows/warehouse/lake/folder.py", "list_files"),
    ("Where is a backfill cut into chunks?", "flows/warehouse/chunks.py", "cut"),
    ("Where does a first load go on?", "flows/backfill/first_loads.py", "continue_first_loads"),
    ("Where is a target compared with its ledger?", "flows/ledger/verify.py", "verify"),
    ("Where are rows frozen as a test?", "flows/unit_tests/create.py", "create_test"),
    ("Where do tests run?", "flows/unit_tests/run.py", "run_tests"),
    ("Where is the age of tables measured?", "flows/reports/freshness.py", "measure_freshness"),
    ("Where is the local Prefect server started?", "flows/server/local.py", "start"),
    ("Where does a row become a deployment?", "flows/prefect/deployments/pipelines.py", "pipeline_deployments"),
    ("Where is the Prefect flow of a run?", "flows/prefect/run_flow.py", "run"),
    ("Where are the set-up's faults found?", "flows/doctor/checks.py", "examine"),
    ("Where is the command `sluice backfill`?", "flows/cli/backfill.py", "register"),
    ("Where is SQL checked for Redshift?", "flows/lint/checks.py", "check_text"),
    ("Where do the demo's rows land?", "flows/demo/landing.py", "Landing"),
    ("Where are YAML files merged with the control tables?", "metadata_sync/rows/merge.py", "make_plan"),
    ("Where is a change of rows written?", "metadata_sync/control/apply.py", "apply_plan"),
    ("Where do rows become models?", "metadata_sync/sync/sync.py", "sync"),
    ("Where are all faults of rows found?", "metadata_sync/validation/__init__.py", "find_faults"),
    ("Where does a column come from?", "metadata_sync/analysis/lineage.py", "Lineage"),
    ("Where are table names in a SELECT replaced?", "metadata_sync/sql/rewrite.py", "rewrite"),
    ("Where are control rows read from the database?", "metadata_sync/database/store.py", "ControlStore"),
    ("Where are passwords masked?", "metadata_sync/redact.py", "redact_text"),
    ("Where are settings defined?", "metadata_sync/settings.py", "Settings"),
    ("Where is the order of a load's steps?", "macros/materializations/scd2.sql", "scd2"),
    ("Where is a load committed?", "macros/load/commit_load.sql", "commit_load"),
    ("Where is a source read by its window?", "macros/windows/increment.sql", "increment"),
    ("Where are the changes of a history found?", "macros/strategies/scd2/stage_scd2.sql", "stage_scd2"),
    ("Where are rows rejected?", "macros/strategies/staging/stage_rejects.sql", "stage_rejects"),
    ("Where does a table get new columns?", "macros/schema/evolve_target.sql", "evolve_target"),
    ("Where is the load log created?", "macros/control/create_control_tables.sql", "create_control_tables"),
    ("Where does a target get a new name?", "flows/lifecycle/rename.py", "rename_steps"),
    ("Where is a target rebuilt from its ledger?", "macros/ledger/rebuild_tables_sql.sql", "rebuild_tables_sql"),
    ("Where is a new project written?", "flows/init/scaffold.py", "create_project"),
    ("Where are the checks of a pull request?", "flows/ci/checks.py", "run_checks"),
    ("Where is a changed target built for a pull request?", "flows/ci/build.py", "build_changes"),
    ("Where are the schemas of a trial dropped?", "flows/environments/place.py", "open_place"),
    ("Where is it planned what a branch changes?", "flows/impact/plan.py", "plan_impact"),
    ("Where are two environments' rows compared?", "flows/diff/compare.py", "compare"),
    ("Where is the key of an offered table found?", "flows/onboard/keys.py", "find_keys"),
    ("Where is Spark's result read?", "macros/results/result_sql.sql", "result_sql"),
)


def _defined(path: str) -> set[str]:
    """Return the functions and classes of a Python file, or the macros, tests and materializations of a SQL file."""
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    if path.endswith(".sql"):
        return set(re.findall(r"{%-? (?:macro|test|materialization) (\w+)", text))
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(text).body if isinstance(node, definitions)}


@pytest.mark.parametrize(("question", "path", "name"), QUESTIONS, ids=[question for question, _, _ in QUESTIONS])
def test_file_defines_what_the_answer_says(question: str, path: str, name: str) -> None:
    assert (REPOSITORY / path).is_file(), f"{question} {path} is not there."
    assert name in _defined(path), f"{question} {path} defines no {name}."


def test_questions_go_to_every_package() -> None:
    packages = [
        path.parent for name in ("flows", "metadata_sync") for path in (REPOSITORY / name).glob("*/__init__.py")
    ]
    folders = [path for path in (REPOSITORY / "macros").iterdir() if path.is_dir()]
    asked = [REPOSITORY / path for _, path, _ in QUESTIONS]
    unasked = [folder.name for folder in packages + folders if not any(folder in path.parents for path in asked)]
    assert set(unasked) <= {"helpers", "tests"}
