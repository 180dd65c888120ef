"""A changed load type, key or sequence is held with the remedy, before anything is loaded."""

from __future__ import annotations

from typing import Any

from flows.gate.facts import Action, Reason
from tests.support.engine_project import Workshop, control_rows

CHANGES: dict[str, dict[str, Any]] = {
    "load type, history to rows": {"load_type": "scd1", "scd_columns": []},
    "load type and tracked columns": {"load_type": "append", "scd_columns": []},
    "key and tracked columns": {"business_key": ["region"], "scd_columns": ["customer"]},
    "wider key, all columns tracked": {"business_key": ["customer", "region"], "scd_columns": []},
    "sequence and tracked columns": {"sequence_by": ["landed_at", "region"], "scd_columns": []},
}


def test_changed_shape_is_held(workshop: Workshop) -> None:
    workshop.land_orders("later", [900], "2013-01-05 00:00:00")
    for name, values in CHANGES.items():
        rows = control_rows()
        row = next(item for item in rows["transformations"] if item["target_table"] == "customer")
        row.update(values)
        workshop.apply(rows)
        (decision,) = [item for item in workshop.plan("orders").decisions if item.target == "dwh.customer"]
        assert (decision.action, decision.reason) == (Action.HOLD, Reason.CONFIG_CHANGED), (name, decision.message)
        assert "sluice rebuild dwh.customer" in decision.message
