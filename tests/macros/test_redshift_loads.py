"""Loads through the real dbt-redshift adapter, on a stand-in: histories equal the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.redshift_standin.server import Standin
from tests.support import histories as h
from tests.support.redshift_project import RedshiftProject

pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]
SHAPES = (h.Shape(40, 60, in_order=False),)


def test_loads_equal_the_oracle_when_the_adapter_is_redshift(redshift_standin: Standin, tmp_path: Path) -> None:
    project = RedshiftProject(tmp_path, redshift_standin)
    h.add_models(project, len(SHAPES))
    h.empty_warehouse(project)
    drawn = h.histories(3, SHAPES)
    h.load_all(project, drawn)
    assert h.differs(project, drawn, (2,)) == []
    assert set(project.run("--full-refresh").statuses.values()) <= {"success", "pass"}
    assert h.differs(project, drawn, (2,)) == []
