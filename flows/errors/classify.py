"""Classification of an error: its class, whether a retry can help, and a sentence and a remedy for people. Pure.

    facts = read_facts("… deadlock detected")       # SQLSTATE, API code, HTTP status found in the text
    verdict = classify(facts, DEFAULT_RULES)        # serialization, soft: try again in a few seconds

The default rules are in `rules.py`. A team's own rules (`team_rules.py`) are tried first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_CLASSIFIED: Final = 20_000
"""Characters of a message that rules search: its beginning and its end, where the cause usually is."""

UNKNOWN_TRIES: Final = 3
"""The attempt at which an error that no rule matches becomes hard; before, it is soft."""


class FailureClass(StrEnum):
    """The kind of a failure."""

    CONNECTION = "connection"
    THROTTLING = "throttling"
    LOCK = "lock"
    SERIALIZATION = "serialization"
    TIMEOUT = "timeout"
    CAPACITY = "capacity"
    SPOT_LOSS = "spot_loss"
    INTERNAL = "internal"
    SYNTAX = "syntax"
    MISSING_OBJECT = "missing_object"
    MISSING_COLUMN = "missing_column"
    TYPE_MISMATCH = "type_mismatch"
    VALUE = "value"
    PERMISSION = "permission"
    CONTRACT = "contract"
    DATA_TEST = "data_test"
    REJECT_LIMIT = "reject_limit"
    UNREADABLE_FILE = "unreadable_file"
    STOPPED = "stopped"
    SETTINGS = "settings"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a class of failures.

    Attributes:
        is_soft: Whether a retry can help.
        wait_seconds: How long to wait before the first retry; 0 for hard failures.
        sentence: What happened, for people.
        remedy: What to do about it.
    """

    is_soft: bool
    wait_seconds: float
    sentence: str
    remedy: str


def _soft(wait_seconds: float, sentence: str, remedy: str) -> Advice:
    return Advice(is_soft=True, wait_seconds=wait_seconds, sentence=sentence, remedy=remedy)


def _hard(sentence: str, remedy: str) -> Advice:
    return Advice(is_soft=False, wait_seconds=0.0, sentence=sentence, remedy=remedy)


ADVICE: Final[Mapping[FailureClass, Advice]] = {
    FailureClass.CONNECTION: _soft(
        5.0, "The connection was refused or lost.", "It is retried. If it persists, check that the server is up."
    ),
    FailureClass.THROTTLING: _soft(
        20.0, "The service limits the request rate.", "It is retried. If it persists: fewer threads or a higher quota."
    ),
    FailureClass.LOCK: _soft(
        5.0, "Another session holds a lock.", "It is retried. If it persists, find the session that holds the lock."
    ),
    FailureClass.SERIALIZATION: _soft(
        2.0, "Another transaction changed the same rows first; nothing was written.", "It is retried."
    ),
    FailureClass.TIMEOUT: _soft(
        30.0, "A timeout was exceeded.", "If it persists: smaller windows, a larger cluster or a longer timeout."
    ),
    FailureClass.CAPACITY: _soft(
        60.0,
        "Memory, disk or cluster capacity ran out.",
        "If it persists: free space, smaller windows or other instance types.",
    ),
    FailureClass.SPOT_LOSS: _soft(30.0, "AWS reclaimed spot instances.", "It is retried with other instances."),
    FailureClass.INTERNAL: _soft(
        30.0,
        "The service reports a fault of its own.",
        "It is retried. If it persists, rewrite the SELECT or ask the service's support.",
    ),
    FailureClass.SYNTAX: _hard("The warehouse cannot parse the SQL.", "Correct the SELECT or the model."),
    FailureClass.MISSING_OBJECT: _hard(
        "A table, schema, file or function does not exist.", "Create or restore it, or correct its name."
    ),
    FailureClass.MISSING_COLUMN: _hard(
        "A column does not exist.", "Restore it in the source, or correct the SELECT or the row."
    ),
    FailureClass.TYPE_MISMATCH: _hard("Data types do not match.", "Cast in the SELECT, or correct the column list."),
    FailureClass.VALUE: _hard(
        "A value is invalid: it cannot be cast, is too large, or violates a constraint.",
        "Correct the data or the SELECT. A value that does not fit the column list becomes a reject automatically.",
    ),
    FailureClass.PERMISSION: _hard(
        "The role lacks a permission, or its credentials are not accepted.",
        "Grant the permission, or correct the credentials.",
    ),
    FailureClass.CONTRACT: _hard(
        "The SELECT does not yield the columns of the column list or contract.", "Correct the SELECT or the columns."
    ),
    FailureClass.DATA_TEST: _hard(
        "The data was loaded, and a data test failed.",
        "Look at the failing rows, then correct the data or the test.",
    ),
    FailureClass.REJECT_LIMIT: _hard(
        "The data exceeds a limit of the row; nothing was written.", "Correct the source, or change the limit."
    ),
    FailureClass.UNREADABLE_FILE: _hard(
        "A file of the lake is damaged or has another format.", "Replace the file, or remove it from the location."
    ),
    FailureClass.STOPPED: _hard(
        "A person or another program ended its cluster.", "Switch the row on again when it may run."
    ),
    FailureClass.SETTINGS: _hard(
        "Settings, rows or generated files contradict each other.", "Follow the error message."
    ),
    FailureClass.UNKNOWN: _soft(
        15.0, "No rule matches this error.", "Read the message; add a rule if the error comes again."
    ),
}


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """What is known about an error.

    Attributes:
        text: The error message.
        sqlstate: Five characters, when a database returned them.
        code: An error code of an API, e.g. `ThrottlingException`, or of EMR, e.g. `BOOTSTRAP_FAILURE`.
        http_status: Status of the HTTP response.
    """

    text: str = ""
    sqlstate: str | None = None
    code: str | None = None
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that recognises an error. It has at least one condition, and all its conditions must hold.

    Attributes:
        name: Unique slug, shown with each verdict.
        failure_class: The class of an error that matches.
        source: The page that documents the error; for a team's rule, why it was added.
        pattern: Regular expression that is searched in the text, ignoring case.
        sqlstates: SQLSTATEs or prefixes: `08` covers the class of connection exceptions.
        codes: Error codes of an API.
        http_statuses: Statuses of an HTTP response.
    """

    name: str
    failure_class: FailureClass
    source: str
    pattern: re.Pattern[str] | None = None
    sqlstates: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    http_statuses: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not (self.pattern or self.sqlstates or self.codes or self.http_statuses):
            raise ValueError(f"rule {self.name} has no condition")

    def matches(self, facts: ErrorFacts) -> bool:
        """Tell whether the rule recognises an error."""
        return (
            (not self.sqlstates or (facts.sqlstate or "").startswith(self.sqlstates))
            and (not self.codes or facts.code in self.codes)
            and (not self.http_statuses or facts.http_status in self.http_statuses)
            and (self.pattern is None or self.pattern.search(facts.text) is not None)
        )


def says(name: str, failure_class: FailureClass, source: str, *words: str) -> Rule:
    """Return a rule that recognises an error by any of these regular expressions, ignoring case."""
    return Rule(name, failure_class, source, pattern=re.compile("|".join(words), re.IGNORECASE))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The classification of an error.

    Attributes:
        failure_class: Its class.
        rule: The rule that matched; None for an unknown error.
        source: The page that the rule cites.
        advice: What to do about it.
    """

    failure_class: FailureClass
    rule: str | None
    source: str | None

    @property
    def advice(self) -> Advice:
        """What to do about the class."""
        return ADVICE[self.failure_class]

    def is_soft(self, attempts: int = 1) -> bool:
        """Tell whether a retry makes sense after this number of attempts. An unknown error becomes hard in the end.

        >>> unknown = Verdict(FailureClass.UNKNOWN, None, None)
        >>> unknown.is_soft(1), unknown.is_soft(UNKNOWN_TRIES)
        (True, False)
        """
        if self.failure_class is FailureClass.UNKNOWN:
            return attempts < UNKNOWN_TRIES
        return self.advice.is_soft


_SQLSTATE: Final = re.compile(r"(?:['\"]C['\"]\s*:\s*['\"]|\bSQLSTATE\W{1,3})([0-9A-Z]{5})\b")
_API_CODE: Final = re.compile(r"\((\w+)\) when calling the \w+ operation")
_EMR_CODE: Final = re.compile(
    r"\b(INTERNAL_ERROR|VALIDATION_ERROR|INSTANCE_FAILURE|INSTANCE_FLEET_TIMEOUT|BOOTSTRAP_FAILURE|STEP_FAILURE)\b"
)
_HTTP_STATUS: Final = re.compile(
    r"\bHTTP(?: error| status(?: code)?|StatusCode)?['\":=\s(]{1,4}([1-5]\d\d)\b", re.IGNORECASE
)


def read_facts(text: str) -> ErrorFacts:
    r"""Find SQLSTATE, API code and HTTP status in an error message.

    >>> read_facts("An error occurred (ThrottlingException) when calling the DescribeCluster operation: slow").code
    'ThrottlingException'
    >>> read_facts("{'S': 'ERROR', 'C': '42703', 'M': 'no column'}").sqlstate
    '42703'
    """
    half = MAX_CLASSIFIED // 2
    shown = text if len(text) <= MAX_CLASSIFIED else f"{text[:half]}\n{text[-half:]}"
    code = _API_CODE.search(shown) or _EMR_CODE.search(shown)
    status = _HTTP_STATUS.search(shown)
    state = _SQLSTATE.search(shown)
    return ErrorFacts(
        text=shown,
        sqlstate=state.group(1) if state else None,
        code=code.group(1) if code else None,
        http_status=int(status.group(1)) if status else None,
    )


def classify(facts: ErrorFacts, rules: Iterable[Rule]) -> Verdict:
    """Classify an error by the first rule that matches.

    Args:
        facts: What is known about it.
        rules: In the order in which they are tried.
    """
    for rule in rules:
        if rule.matches(facts):
            return Verdict(rule.failure_class, rule.name, rule.source)
    return Verdict(FailureClass.UNKNOWN, None, None)
