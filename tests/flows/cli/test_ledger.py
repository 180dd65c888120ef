"""`sluice verify` and `sluice rebuild`: what they print, their exit codes, what they leave behind."""

from __future__ import annotations

import json

import pytest

from flows.ledger.rebuild import plan_rebuild, rebuild
from flows.ledger.verify import verify
from metadata_sync.errors import ConfigurationError, HardRunError
from tests.support.engine_project import Workshop, control_rows

TARGET = "dwh.customer"


def ask(workshop: Workshop, *arguments: str) -> tuple[int, str, str]:
    workshop.close()
    process = workshop.sluice(*arguments)
    out, errors = process.communicate(timeout=200)
    return process.returncode, out, errors


def test_verify_finds_a_hand_edit_and_rebuild_follows_a_changed_key(workshop: Workshop) -> None:
    workshop.run("orders")
    assert verify(workshop.context, TARGET).is_sound
    workshop.execute("update dwh.customer set valid_to = valid_to + interval 1 day where valid_to is not null")
    code, out, _ = ask(workshop, "verify", TARGET, "--json")
    found = json.loads(out)
    assert (code, found["is_sound"]) == (1, False)
    assert set(found["counts"]) == {"version differs"}
    assert "valid_to is 2013-01-0" in found["differences"][0]["detail"]

    watermark = "select window_start, window_end from sluice.watermark_control where target = 'dwh.customer'"
    before = workshop.query(watermark)
    rows = control_rows()
    rows["transformations"][1] |= {"business_key": ["region"], "scd_columns": ["customer"]}
    workshop.apply(rows)
    with pytest.raises(HardRunError, match="sluice rebuild"):
        verify(workshop.context, TARGET)
    code, out, errors = ask(workshop, "rebuild", TARGET)
    assert code == 2, "nobody is there to ask"
    assert "business_key: customer → region" in out
    assert "Nothing was changed. Pass --yes" in errors
    code, out, _ = ask(workshop, "rebuild", TARGET, "--yes", "--json")
    assert (code, json.loads(out)["rows"]["read"]) == (0, 20)

    assert workshop.query("select count(*) from dwh.customer where is_current") == [(2,)]
    assert verify(workshop.context, TARGET).is_sound
    assert workshop.query(watermark) == before, "no source was read"
    summary, _ = workshop.run("orders")
    assert workshop.statuses(summary)[TARGET] == "skipped"


def test_a_target_that_nobody_knows_is_named(workshop: Workshop) -> None:
    for question in (verify, plan_rebuild, rebuild):
        with pytest.raises(ConfigurationError, match=r"no transformation 'dwh\.nothing' in this"):
            question(workshop.context, "dwh.nothing")


def test_a_materialized_view_has_no_ledger_and_says_so(workshop: Workshop) -> None:
    rows = control_rows()
    rows["pipelines"].append({"pipeline_id": "views", "pipeline_name": "Views", "template": "materialized_view"})
    total = next(row for row in rows["transformations"] if row["target_table"] == "region_total")
    view = {name: value for name, value in total.items() if name != "column_list"}
    view |= {"target_table": "region_view", "pipeline_id": "views", "increment": "full"}
    view["dependencies"] = [{"table": "dwh.fact_order", "driving": True}]
    rows["transformations"].append(view)
    workshop.apply(rows)
    for command in (("verify",), ("rebuild", "--yes"), ("ties",)):
        code, _, errors = ask(workshop, command[0], "mart.region_view", *command[1:])
        said = " ".join(errors.split())
        assert code == 2, errors
        assert "mart.region_view is a materialized view" in said
        assert "sluice run views --force" in said
        assert "Traceback" not in said


def test_apply_is_quiet_about_columns_that_sync_took(workshop: Workshop) -> None:
    workshop.close()
    code, _, errors = ask(workshop, "sync")
    assert code == 0, errors
    code, out, errors = ask(workshop, "control", "apply", "--yes")
    assert code == 0, errors
    assert "column_list" not in out + errors
    code, _, errors = ask(workshop, "control", "set", "transformation", "dwh.customer", "max_rejects=10")
    assert code == 0, errors
    code, out, errors = ask(workshop, "control", "apply", "--yes")
    assert "max_rejects" in out + errors
    assert "column_list" not in out + errors
