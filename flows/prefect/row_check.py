"""Whether a scheduled run still has its row behind it: the control table is the truth, a schedule only follows it."""

from __future__ import annotations

from collections.abc import Sequence

from metadata_sync.rows.model import ControlRows


def why_not_to_run(rows: ControlRows, pipelines: Sequence[str], scheduled_by: str) -> str | None:
    """Say why a run of a deployment has lost its ground since it was scheduled.

    Args:
        rows: The rows as they are now.
        pipelines: What the run is about; none: every active pipeline.
        scheduled_by: Cron and time zone that made the run, `5 * * * * UTC`.

    Returns:
        One sentence; None when the run is to go on.
    """
    known = {row.pipeline_id: row for row in rows.pipelines}
    found = [known[name] for name in pipelines if name in known]
    if pipelines and not found:
        return f"Not run: {', '.join(pipelines)} is no longer in pipeline_control"
    if found and not any(row.is_active for row in found):
        return f"Not run: {', '.join(row.pipeline_id for row in found)} is switched off"
    if found and all(f"{row.schedule} {row.timezone}" != scheduled_by for row in found):
        now = "; ".join(f"{row.schedule} {row.timezone}" if row.schedule else "no schedule" for row in found)
        return f"Not run: it was scheduled by {scheduled_by}, and the row now says {now}"
    return None
