"""These tests are collected by `make test-iceberg` only: their libraries are not those of the other tests."""

from __future__ import annotations

import pytest


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave the folder out unless it is asked for; without its libraries it then fails."""
    return None if "iceberg" in (config.option.markexpr or "") else True
