"""Classification: what an error is, whether it may heal by itself, and what a person should know about it. Pure.

    facts = read_facts("… deadlock detected")       # what the text gives away
    verdict = classify(facts, DEFAULT_RULES)        # lock, soft: try again in a few seconds

Rules stand in `error_rules.py`; a team adds its own (`rule_files.py`), which are asked first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_CLASSIFIED: Final = 20_000
"""Characters of a message that rules look at: its beginning and its end, where causes stand."""

UNKNOWN_TRIES: Final = 3
"""How often an error that no rule knows counts as soft before it counts as hard."""


class FailureClass(StrEnum):
    """What kind of failure it is."""

    CONNECTION = "connection"
    THROTTLING = "throttling"
    LOCK = "lock"
    SERIALIZATION = "serialization"
    TIMEOUT = "timeout"
    CAPACITY = "capacity"
    SPOT_LOSS = "spot_loss"
    SYNTAX = "syntax"
    MISSING_OBJECT = "missing_object"
    MISSING_COLUMN = "missing_column"
    TYPE_MISMATCH = "type_mismatch"
    VALUE = "value"
    PERMISSION = "permission"
    CONTRACT = "contract"
    DATA_TEST = "data_test"
    REJECT_LIMIT = "reject_limit"
    SETTINGS = "settings"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Advice:
    """What follows from a class.

    Attributes:
        is_soft: Whether it may heal by itself, so that trying again makes sense.
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
        5.0, "The connection was refused or lost.", "Nothing, unless it stays: check that the server is up."
    ),
    FailureClass.THROTTLING: _soft(
        20.0, "The service asked to slow down.", "Nothing, unless it stays: fewer threads, or a higher quota."
    ),
    FailureClass.LOCK: _soft(
        5.0, "Something else holds what the load needs.", "Nothing, unless it stays: find the session that holds it."
    ),
    FailureClass.SERIALIZATION: _soft(
        2.0, "Another transaction changed the same rows first; nothing was written.", "Nothing: the next try goes on."
    ),
    FailureClass.TIMEOUT: _soft(
        30.0, "It took longer than it may.", "If it stays: smaller windows, a larger cluster or a longer limit."
    ),
    FailureClass.CAPACITY: _soft(
        60.0, "Memory, disk or machines ran out.", "If it stays: free space, smaller windows or other instance types."
    ),
    FailureClass.SPOT_LOSS: _soft(30.0, "Spot machines were taken back.", "Nothing: the next try asks for others."),
    FailureClass.SYNTAX: _hard("The warehouse does not understand the SQL.", "Mend the SELECT or the model."),
    FailureClass.MISSING_OBJECT: _hard(
        "A table, schema, file or function does not exist.", "Create or restore it, or correct its name."
    ),
    FailureClass.MISSING_COLUMN: _hard(
        "A column does not exist.", "Restore it in the source, or correct the SELECT or the row."
    ),
    FailureClass.TYPE_MISMATCH: _hard("Types do not fit together.", "Cast in the SELECT, or correct the column list."),
    FailureClass.VALUE: _hard(
        "A value does not fit: it cannot be cast, is too large, or breaks a constraint.",
        "Mend the data or the SELECT; a value that the column list refuses becomes a reject by itself.",
    ),
    FailureClass.PERMISSION: _hard(
        "The role may not do this, or its credentials are not accepted.", "Grant the right, or mend the credentials."
    ),
    FailureClass.CONTRACT: _hard(
        "The SELECT does not yield what the column list or contract promises.", "Correct the SELECT or the columns."
    ),
    FailureClass.DATA_TEST: _hard(
        "The data were loaded, and a data test found them wrong.",
        "Look at the failing rows; mend what is wrong.",
    ),
    FailureClass.REJECT_LIMIT: _hard(
        "The data passed a limit that the row sets; nothing was written.", "Mend the source, or change the limit."
    ),
    FailureClass.SETTINGS: _hard("Settings, rows or generated files do not fit together.", "Do what the message says."),
    FailureClass.UNKNOWN: _soft(
        15.0, "No rule knows this error.", "Read the message; add a rule for it if it comes again."
    ),
}


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """What is known of an error.

    Attributes:
        text: What the component wrote.
        sqlstate: Five characters, when a database gave them.
        code: An error code of an API, e.g. `ThrottlingException`, or of EMR, e.g. `BOOTSTRAP_FAILURE`.
        http_status: Of an HTTP answer.
    """

    text: str = ""
    sqlstate: str | None = None
    code: str | None = None
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to recognise an error. Every condition that is given must hold; at least one is.

    Attributes:
        name: Unique slug, shown with each verdict.
        failure_class: What the error then is.
        source: Where it is written that the error means this; for a rule of a team, why it was added.
        pattern: Regular expression that is found anywhere in the text, case ignored.
        sqlstates: SQLSTATEs, or their beginnings: `08` covers the class of connection exceptions.
        codes: Codes of an API.
        http_statuses: Statuses of an HTTP answer.
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error is.

    Attributes:
        failure_class: Its class.
        rule: The rule that recognised it; None for an unknown one.
        source: What the rule refers to.
        advice: What follows.
    """

    failure_class: FailureClass
    rule: str | None
    source: str | None

    @property
    def advice(self) -> Advice:
        """What follows from the class."""
        return ADVICE[self.failure_class]

    def is_soft(self, attempts: int = 1) -> bool:
        """Tell whether trying again makes sense after so many attempts; an unknown error turns hard at last.

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
    r"""Find what a message gives away: SQLSTATE, API code, HTTP status.

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
    """Say what an error is: what the first rule says that recognises it.

    Args:
        facts: What is known of it.
        rules: In the order in which they are asked.
    """
    for rule in rules:
        if rule.matches(facts):
            return Verdict(rule.failure_class, rule.name, rule.source)
    return Verdict(FailureClass.UNKNOWN, None, None)
