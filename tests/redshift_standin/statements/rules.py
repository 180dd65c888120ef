"""The product's own rules, in the words in which Redshift answers where somebody reported them."""

from __future__ import annotations

import re

from sqlglot import exp

from metadata_sync.sql.redshift import RULES, Finding, Severity, check_script, check_tree
from tests.redshift_standin.errors import RedshiftError

DOUBLED = re.compile(r"Found multiple '(\w+)' clauses")
"""A clause that a SELECT has twice, in sqlglot's words."""
WORDING = {
    "on_conflict": ("42601", 'syntax error at or near "on"'),
    "returning": ("42601", 'syntax error at or near "returning"'),
    "distinct_on": ("0A000", "SELECT DISTINCT ON is not supported"),
    "filter": ("42601", 'syntax error at or near "("'),
    "leader_only": (
        "0A000",
        "Specified types or functions (one per INFO message) not supported on Redshift tables.",
    ),
    "functions": ("42883", "function does not exist: not supported by Redshift"),
    "data_types": ("42704", "type is not supported by Redshift"),
    "other_object": ("0A000", "SQL command not supported on Redshift"),
    "altered_type": ("0A000", "ALTER COLUMN TYPE is only supported for the length of a VARCHAR"),
    "alone": ("25001", "cannot run inside a transaction block"),
}
SYNTAX_ERROR = "42601"
PARAMETER = re.compile(r"(?<![\w$])\$(\d+)")
# What runs on Redshift and is worth a word in a transaction; and the client's own limit, which it has kept by then.
TAKEN = frozenset({"truncate_commits", "percent", "unsized_decimal"})
REFUSED = tuple(rule for rule in RULES if rule.severity is Severity.ERROR and rule.name not in TAKEN)


def check_words(text: str) -> None:
    """Raise the first refusal that a statement meets by its words, whatever it is parsed into.

    Raises:
        RedshiftError: With Redshift's wording or, where nobody reported it, the rule's.
    """
    for finding in check_script(PARAMETER.sub(r"rs_parameter_\1", text)):
        if finding.severity is Severity.ERROR and finding.rule not in TAKEN:
            raise _refusal(finding)


def check(tree: exp.Expr, *, is_in_block: bool) -> None:
    """Raise the first refusal that a statement meets.

    Raises:
        RedshiftError: With Redshift's wording or, where nobody reported it, the rule's.
    """
    for finding in check_tree(tree, REFUSED, is_in_transaction=is_in_block):
        raise _refusal(finding)


def _refusal(finding: Finding) -> RedshiftError:
    if doubled := DOUBLED.match(finding.message):
        return RedshiftError(SYNTAX_ERROR, f'syntax error at or near "{doubled[1].lower()}"')
    return RedshiftError(*WORDING.get(finding.rule, (SYNTAX_ERROR, f"syntax error: {finding.message}")))
