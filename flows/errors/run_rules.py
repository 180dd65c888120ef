"""The error rules of one run: a team's own are checked at its start, the default ones built at its first failure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from metadata_sync.project import Project

if TYPE_CHECKING:
    from flows.errors.classify import Rule

ENTRY_POINT_GROUP: Final = "sluice.error_rules"
"""A package's entry point of this group is a sequence of `flows.errors.classify.Rule`."""

FILE_NAME: Final = "error_rules.yml"


class RunRules:
    """All rules in the order in which they are asked. Most runs meet no failure and ask none.

    Args:
        project: May hold rules of its own.

    Raises:
        ConfigurationError: When the team's rules are no rules.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        if (project.dbt_dir / FILE_NAME).exists() or entry_points(group=ENTRY_POINT_GROUP):
            _ = self._rules

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        from flows.errors.team_rules import load_rules

        return load_rules(self._project)
