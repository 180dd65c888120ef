"""Check files: the rules on sqlglot's tree, and what sqlfluff's Redshift dialect cannot parse."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from metadata_sync.sql.redshift import SYNTAX, Finding, Severity, check_script, count_statements

if TYPE_CHECKING:
    from flows.lint.files import SqlFile

_UNPARSED_LENGTH: Final = 60
_NEAR: Final = re.compile(r"""^.*?Found unparsable section: ['"]|['"]\. Expected:.*$|['"]$""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FileFinding:
    """A finding and its file."""

    path: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class LintResult:
    """The result of a lint.

    Attributes:
        findings: In the order of files and lines.
        file_count: Files that were checked.
        statement_count: Statements in them.
        unread: Files that were not checked, because they hold Jinja statements.
        parsers: The parsers that were used.
    """

    findings: tuple[FileFinding, ...]
    file_count: int
    statement_count: int
    unread: tuple[str, ...]
    parsers: tuple[str, ...]

    @property
    def error_count(self) -> int:
        """How many findings Redshift would refuse."""
        return sum(1 for item in self.findings if item.finding.severity is Severity.ERROR)


def has_sqlfluff() -> bool:
    """Whether the second parser is installed."""
    return importlib.util.find_spec("sqlfluff") is not None


def lint(files: Iterable[SqlFile]) -> LintResult:
    """Check files against Redshift's rules.

    Args:
        files: The files; those with Jinja statements are listed and not checked.
    """
    findings: list[FileFinding] = []
    unread: list[str] = []
    file_count = statement_count = 0
    for file in files:
        if file.has_blocks:
            unread.append(file.path)
            continue
        file_count += 1
        statement_count += count_statements(file.text)
        findings += [FileFinding(file.path, finding) for finding in check_text(file.text)]
    parsers = ("sqlglot", "sqlfluff") if has_sqlfluff() else ("sqlglot",)
    return LintResult(tuple(findings), file_count, statement_count, tuple(unread), parsers)


def check_text(text: str) -> tuple[Finding, ...]:
    """Check one text. sqlfluff parses only what sqlglot can parse, so that no error is reported twice."""
    findings = check_script(text)
    if not has_sqlfluff() or any(finding.rule == SYNTAX for finding in findings):
        return findings
    lines = {finding.line for finding in findings}
    more = (finding for finding in _unparsed(text) if finding.line not in lines)
    return tuple(sorted((*findings, *more), key=lambda finding: (finding.line, finding.column)))


def _unparsed(text: str) -> Iterable[Finding]:
    """Yield what sqlfluff cannot parse, under the rule name `sqlfluff` (sqlglot's is `syntax`)."""
    for error in _sqlfluff().parse_string(text).violations:
        near = _NEAR.sub("", str(error.desc()))[:_UNPARSED_LENGTH]
        message = f"sqlfluff's Redshift dialect cannot parse {near!r}."
        yield Finding("sqlfluff", Severity.ERROR, error.line_no, error.line_pos, message, "Write it in Redshift's SQL.")


@cache
def _sqlfluff() -> Any:
    from sqlfluff.core import FluffConfig, Linter

    overrides: Any = {"dialect": "redshift", "templater": "raw", "large_file_skip_byte_limit": 0}
    return Linter(config=FluffConfig(overrides=overrides))
