"""What Redshift refuses, as rules over sqlglot's trees: `sluice lint` and the tests' stand-in hold statements to them.

text ──check_script──▶ Finding, …     each with rule, line, message, remedy and AWS's page
"""

from metadata_sync.sql.redshift.dialect import PlainRedshift
from metadata_sync.sql.redshift.rule import Finding, Rule, Severity, check_tree
from metadata_sync.sql.redshift.script import RULES, SYNTAX, check_script, count_statements

__all__ = [
    "RULES",
    "SYNTAX",
    "Finding",
    "PlainRedshift",
    "Rule",
    "Severity",
    "check_script",
    "check_tree",
    "count_statements",
]
