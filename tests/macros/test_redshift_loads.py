"""Loads through the real dbt-redshift adapter, on a stand-in or live: histories equal the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.redshift_standin.server import Standin
from tests.support import histories as h
from tests.support.redshift_project import Redshift, RedshiftProject

SHAPES = (h.Shape(40, 60, in_order=False),)


@pytest.mark.parametrize(("datasharing", "batches"), [(False, 2), (True, 2)])
def test_loads_equal_the_oracle_when_the_adapter_is_redshift(
    redshift: Redshift, tmp_path: Path, datasharing: bool, batches: int
) -> None:
    """dbt asks the catalogs for metadata, or by SHOW with `datasharing: true`."""
    project = RedshiftProject(tmp_path, redshift, datasharing=datasharing)
    h.add_models(project, len(SHAPES))
    h.empty_warehouse(project)
    drawn = [history[:batches] for history in h.histories(3, SHAPES)]
    h.load_all(project, drawn, batches)
    assert h.differs(project, drawn, (2,)) == []
    if isinstance(redshift, Standin):
        assert bool(redshift.journal.matching("show columns from table")) is datasharing
    if not datasharing:
        targets = [f"{kind}_0" for kind in ("one", "two", "add")]
        for task, found in (("verify", '"counts": {}'), ("rebuild", "")):
            result = project.run("--select", *targets, env={"SLUICE_TASKS": {f"dwh.{name}": task for name in targets}})
            assert result.success, result.messages
            assert all(found in result.messages[name] for name in targets), result.messages
        assert h.differs(project, drawn, (2,)) == []
        assert set(project.run("--full-refresh").statuses.values()) <= {"success", "pass"}
        assert h.differs(project, drawn, (2,)) == []
