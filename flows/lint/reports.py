"""Findings as text, JSON, SARIF 2.1.0 and GitHub annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flows.lint.checks import FileFinding, LintResult
from metadata_sync.sql.redshift import RULES

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def text_lines(result: LintResult) -> list[str]:
    """Return a line per finding: `file:line:column: severity rule: message remedy`."""
    return [
        f"{item.path}:{item.finding.line}:{item.finding.column}: {item.finding.severity} {item.finding.rule}: "
        f"{item.finding.message} {item.finding.remedy}"
        for item in result.findings
    ]


def json_document(result: LintResult) -> dict[str, Any]:
    """Return the whole result."""
    return {
        "files": result.file_count,
        "statements": result.statement_count,
        "parsers": list(result.parsers),
        "not_read": list(result.unread),
        "errors": result.error_count,
        "findings": [_document(item) for item in result.findings],
    }


def _document(item: FileFinding) -> dict[str, Any]:
    finding = item.finding
    return {
        "file": item.path,
        "line": finding.line,
        "column": finding.column,
        "severity": finding.severity.value,
        "rule": finding.rule,
        "message": finding.message,
        "remedy": finding.remedy,
        "page": finding.url,
    }


def sarif_document(result: LintResult) -> dict[str, Any]:
    """Return a SARIF log for code scanning."""
    rules = [
        {"id": rule.name, "helpUri": rule.url, "shortDescription": {"text": rule.message.format(found=rule.name)}}
        for rule in RULES
    ]
    return sarif_log("sluice lint", rules, [_sarif_result(item) for item in result.findings])


def sarif_log(tool: str, rules: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a SARIF log of one tool; see `sarif_result`."""
    run = {"tool": {"driver": {"name": tool, "rules": list(rules)}}, "results": list(results)}
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def sarif_result(rule: str, level: str, message: str, path: str, region: dict[str, int]) -> dict[str, Any]:
    """Return one result of a SARIF log: what is wrong in which region of a file."""
    place = {"artifactLocation": {"uri": path}, "region": region}
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": message},
        "locations": [{"physicalLocation": place}],
    }


def _sarif_result(item: FileFinding) -> dict[str, Any]:
    finding = item.finding
    region = {"startLine": finding.line, "startColumn": finding.column}
    text = f"{finding.message} {finding.remedy}"
    return sarif_result(finding.rule, finding.severity.value, text, item.path, region)


def github_lines(result: LintResult) -> list[str]:
    """Return workflow commands that annotate the line of each finding.

    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    return [
        f"::{item.finding.severity} file={_property(item.path)},line={item.finding.line},col={item.finding.column},"
        f"title={_property(item.finding.rule)}::{_data(f'{item.finding.message} {item.finding.remedy}')}"
        for item in result.findings
    ]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
