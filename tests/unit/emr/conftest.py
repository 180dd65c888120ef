"""A simulated EMR: made once a module, as new for each test, found by the environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from emr_simulator import EmrSimulator


@pytest.fixture(scope="module")
def shared_emr() -> Iterator[EmrSimulator]:
    with EmrSimulator() as simulator:
        yield simulator


@pytest.fixture
def emr(shared_emr: EmrSimulator, monkeypatch: pytest.MonkeyPatch) -> EmrSimulator:
    shared_emr.forget()
    for name, value in shared_emr.environment.items():
        monkeypatch.setenv(name, value)
    return shared_emr
