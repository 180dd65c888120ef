"""Error rules that a team adds: in `dbt_project/error_rules.yml`, or in packages with an entry point."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.errors.classify import FailureClass, Rule
from flows.errors.rules import DEFAULT_RULES
from flows.errors.run_rules import ENTRY_POINT_GROUP, FILE_NAME
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project


class _WrittenRule(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)

    name: str = Field(min_length=1)
    failure_class: FailureClass = Field(alias="class")
    source: str = Field(min_length=1)
    pattern: re.Pattern[str] | None = None
    sqlstates: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    http_statuses: tuple[int, ...] = ()

    def as_rule(self) -> Rule:
        pattern = None if self.pattern is None else re.compile(self.pattern.pattern, re.IGNORECASE)
        return Rule(self.name, self.failure_class, self.source, pattern, self.sqlstates, self.codes, self.http_statuses)


class _WrittenRules(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: tuple[_WrittenRule, ...]


def load_rules(project: Project) -> tuple[Rule, ...]:
    """Return all rules in the order in which they are tried: the project's file, packages, the default rules.

    Raises:
        ConfigurationError: When a file or an entry point does not hold rules, or two rules have the same name.
    """
    rules = (*_of_file(project.dbt_dir / FILE_NAME), *_of_packages(), *DEFAULT_RULES)
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(
            f"Several error rules have the same name: {', '.join(twice)}.", "Give each rule its own name."
        )
    return rules


def _of_file(path: Path) -> Iterator[Rule]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.", "Make it readable UTF-8.") from error
    try:
        written = _WrittenRules.model_validate(yaml.safe_load(text))
        for rule in written.rules:
            yield rule.as_rule()
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}", "Correct the file.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ConfigurationError(f"{path}, {place}: {first['msg']}.", "See docs/concepts/failures.md.") from error
    except ValueError as error:
        raise ConfigurationError(
            f"{path}: {error}.", "Give it a pattern, SQLSTATEs, codes or HTTP statuses."
        ) from error


def _of_packages() -> Iterator[Rule]:
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        found: Any = entry.load()
        if not isinstance(found, list | tuple) or not all(isinstance(rule, Rule) for rule in found):
            raise ConfigurationError(
                f"The entry point {entry.name} ({entry.value}) does not hold error rules.",
                "It must be a tuple of flows.errors.classify.Rule.",
            )
        yield from found
