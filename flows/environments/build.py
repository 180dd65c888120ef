"""Rows applied and loaded in a copy of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from metadata_sync.control.export import export_document
from metadata_sync.rows.merge import ControlState
from metadata_sync.rows.model import ControlRows

if TYPE_CHECKING:
    from flows.context import Context
    from flows.run.model import RunSummary

_FILE: Final = "place.yml"


def load(place: Context, rows: ControlRows) -> RunSummary:
    """Apply rows in a copy of the project, and run all of them once.

    Args:
        place: The copy.
        rows: All that it is to have.

    Raises:
        MetadataError: When the rows are refused.
        SluiceError: When the run cannot start.
    """
    from flows.engine.engine import execute, prepare
    from flows.run.model import RunRequest
    from metadata_sync.control.apply import apply_plan, plan_files

    document = export_document(ControlState(rows, ControlRows()))
    (place.project.control_dir / _FILE).write_text(document, encoding="utf-8")
    change = place.change_context
    apply_plan(change, plan_files(change))
    return execute(place, prepare(place, RunRequest(requested_by=place.who)))
