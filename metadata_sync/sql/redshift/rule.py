"""What a rule is: one construct that Redshift refuses, or takes and answers otherwise than PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sqlglot import exp

GUIDE: Final = "https://docs.aws.amazon.com/redshift/latest/dg/"
"""Where the pages are that rules name."""


class Severity(StrEnum):
    """What breaking a rule means."""

    ERROR = "error"  # Redshift refuses the statement
    WARNING = "warning"  # it runs, and does something that surprises


@dataclass(frozen=True, slots=True)
class Rule:
    """One construct.

    Attributes:
        name: Of the rule.
        page: Page of AWS's Redshift Database Developer Guide that says so.
        message: What is wrong, one sentence; `{found}` stands for what was found.
        remedy: What to write instead, one sentence.
        find: Returns what a node holds of the construct, as people would say it; None when it holds none.
        remedies: Better remedies for some of what can be found.
        severity: Whether Redshift refuses it.
        in_transaction: Whether only a statement between BEGIN and COMMIT breaks it.
    """

    name: str
    page: str
    message: str
    remedy: str
    find: Callable[[exp.Expr], str | None]
    remedies: Mapping[str, str] = field(default_factory=dict)
    severity: Severity = Severity.ERROR
    in_transaction: bool = False

    @property
    def url(self) -> str:
        """Address of the rule's page."""
        return GUIDE + self.page


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a statement breaks a rule.

    Attributes:
        rule: Name of the rule.
        severity: Whether Redshift refuses it.
        line: From 1, within the text.
        column: From 1.
        message: What is wrong, one sentence.
        remedy: What to do about it, one sentence.
        url: AWS's page; empty for plain syntax errors.
    """

    rule: str
    severity: Severity
    line: int
    column: int
    message: str
    remedy: str
    url: str = ""


def check_tree(tree: exp.Expr, rules: tuple[Rule, ...], *, is_in_transaction: bool, line: int = 1) -> list[Finding]:
    """Find every rule that a statement breaks.

    Args:
        tree: The statement.
        rules: To hold it to.
        is_in_transaction: Whether it stands between BEGIN and COMMIT.
        line: Of the statement, for constructs whose place sqlglot does not keep.
    """
    findings = []
    for node in tree.walk():
        for rule in rules:
            if rule.in_transaction and not is_in_transaction:
                continue
            found = rule.find(node)
            if found is not None:
                at_line, column = _place(node) or (line, 1)
                remedy = rule.remedies.get(found, rule.remedy)
                message = rule.message.format(found=found)
                findings.append(Finding(rule.name, rule.severity, at_line, column, message, remedy, rule.url))
    return findings


def _place(node: exp.Expr) -> tuple[int, int] | None:
    """Line and column of the first part of a node, or of what stands around it, whose place sqlglot knows."""
    around: exp.Expr | None = node
    while around is not None:
        for part in around.walk(bfs=False):
            if "line" in part.meta:
                # sqlglot counts the column of a token's last character
                width = part.meta["end"] - part.meta["start"]
                return part.meta["line"], max(part.meta["col"] - width, 1)
        around = around.parent
    return None


def function_name(node: exp.Expr) -> str:
    """Return the lower-case name of a function call, or nothing."""
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return str(node.name).lower()
    return str(node.sql_name()).lower() if isinstance(node, exp.Func) else ""


def holds(*kinds: type[exp.Expr], word: str) -> Callable[[exp.Expr], str | None]:
    """Make a `find` that looks for nodes of these kinds and calls them word."""
    return lambda node: word if isinstance(node, kinds) else None
