"""`sluice verify` and `sluice rebuild` as a person types them: what they print, their exit codes, what they leave."""

from __future__ import annotations

import json

from engine_project import Workshop, control_rows

TARGET = "dwh.customer"


def ask(workshop: Workshop, *arguments: str) -> tuple[int, str, str]:
    workshop.close()
    process = workshop.sluice(*arguments)
    out, errors = process.communicate(timeout=120)
    return process.returncode, out, errors


def test_verify_finds_a_hand_edit_and_rebuild_follows_a_changed_key(workshop: Workshop) -> None:
    workshop.run("orders")
    code, out, _ = ask(workshop, "verify", TARGET)
    assert (code, "dwh.customer is sound: " in out) == (0, True)

    workshop.execute("update dwh.customer set valid_to = valid_to + interval 1 day where valid_to is not null")
    code, out, _ = ask(workshop, "verify", TARGET, "--json")
    found = json.loads(out)
    assert (code, found["is_sound"]) == (1, False)
    assert set(found["counts"]) == {"version differs"}
    assert "valid_to is 2013-01-0" in found["differences"][0]["detail"]

    code, out, errors = ask(workshop, "rebuild", TARGET)
    assert code == 2, "nobody is there to ask"
    assert "Nothing was changed. Pass --yes" in out + errors
    code, out, _ = ask(workshop, "rebuild", TARGET, "--yes", "--json")
    assert code == 0, out
    assert ask(workshop, "verify", TARGET)[0] == 0

    rows = control_rows()
    rows["transformations"][1]["business_key"] = ["region"]
    rows["transformations"][1]["scd_columns"] = ["customer"]
    workshop.apply(rows)
    before = workshop.query(
        "select window_start, window_end from sluice.watermark_control where target = 'dwh.customer'"
    )
    code, _, errors = ask(workshop, "verify", TARGET)
    assert code != 0
    assert "sluice rebuild" in errors
    code, out, _ = ask(workshop, "rebuild", TARGET, "--yes")
    assert code == 0
    assert "business_key: customer → region" in out
    assert workshop.query("select count(*) from dwh.customer where is_current") == [(2,)]
    assert ask(workshop, "verify", TARGET)[0] == 0
    after = workshop.query(
        "select window_start, window_end from sluice.watermark_control where target = 'dwh.customer'"
    )
    assert after == before, "no source was read"
    summary, _ = workshop.run("orders")
    assert workshop.statuses(summary)[TARGET] == "skipped"


def test_a_target_that_nobody_knows_is_named(workshop: Workshop) -> None:
    for command in ("verify", "rebuild"):
        code, _, errors = ask(workshop, command, "dwh.nothing")
        assert code == 2
        assert "There is no transformation 'dwh.nothing' in this environment." in errors
