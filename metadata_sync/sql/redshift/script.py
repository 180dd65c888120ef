"""A text of one or many statements, held to Redshift's rules: what sqlglot can tell, without a cluster."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlglot import Dialect, Token, TokenType, exp
from sqlglot.errors import ParseError, SqlglotError

from metadata_sync.sql.redshift.clause_rules import RULES as CLAUSE_RULES
from metadata_sync.sql.redshift.dialect import PlainRedshift
from metadata_sync.sql.redshift.from_paths import take_paths
from metadata_sync.sql.redshift.query_rules import RULES as QUERY_RULES
from metadata_sync.sql.redshift.rule import Finding, Severity, check_tree
from metadata_sync.sql.redshift.statement_rules import RULES as STATEMENT_RULES
from metadata_sync.sql.redshift.word_rules import word_findings

RULES: Final = (*QUERY_RULES, *CLAUSE_RULES, *STATEMENT_RULES)
"""Every rule."""

SYNTAX: Final = "syntax"
"""Rule of what cannot be parsed."""

_MAX_STATEMENT_BYTES: Final = 16 * 1024 * 1024
_STATEMENTS: Final = (
    exp.Alter, exp.Analyze, exp.Comment, exp.Commit, exp.Copy, exp.Create, exp.Delete, exp.Drop, exp.Grant, exp.Insert,
    exp.Merge, exp.Query, exp.Revoke, exp.Rollback, exp.Set, exp.Transaction, exp.TruncateTable, exp.Update, exp.Use,
)  # fmt: skip
# Statements of Redshift's that sqlglot keeps as text or cannot read; sqlfluff reads them.
_COMMANDS: Final = re.compile(
    r"vacuum|unload|lock|call|declare|close|cancel|show|explain|refresh materialized view|reset|abort|desc |end\b"
    r"|(attach|detach) (masking|rls) policy|deallocate|execute|fetch|prepare (?!transaction)|start transaction"
    r"|begin (\S+ )?read "
    r"|grant|revoke|drop|comment on constraint"
    r"|set session (authorization|characteristics)|set \S+ (to|=)|analyze( verbose| compression)?"
    r"|alter (database|datashare|default privileges|external|function|group|identity provider|masking policy"
    r"|materialized view|procedure|rls policy|role|schema|system|user"
    r"|table \S+( \. \S+)? (append|row level|add partition|add if not exists partition|drop partition|partition"
    r"|owner to|alter (dist|sort|compound|encode|column \S+ encode)|set (location|file format|table properties)))"
    r"|create (database|datashare|external|group|identity provider|library|masking policy|model|rls policy|role|schema"
    r"|user|(or replace )?((non)?atomic )?(external )?(function|procedure|library|model))"
)
_RESET: Final = re.compile(r"\x1b\[\d+m")


def check_script(text: str) -> tuple[Finding, ...]:
    """Find everything in a text that Redshift would refuse or misread.

    Args:
        text: Statements, each ended by a semicolon; comments may stand anywhere.

    Returns:
        Findings in the order of the text.
    """
    try:
        statements = _split(PlainRedshift().tokenize(text))
    except SqlglotError as error:
        return (_syntax(str(error), 1, 1),)
    findings: list[Finding] = []
    is_in_transaction = False
    for tokens in statements:
        tree, problems = _parse(tokens, text)
        if tree is not None:
            if isinstance(tree, exp.Transaction | exp.Commit | exp.Rollback):
                is_in_transaction = isinstance(tree, exp.Transaction)
            problems += check_tree(tree, RULES, is_in_transaction=is_in_transaction, line=tokens[0].line)
        findings += _with_words(problems, tokens)
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda finding: (finding.line, finding.column)))


def _with_words(problems: list[Finding], tokens: list[Token]) -> list[Finding]:
    """Add what the words of a statement tell where its tree tells of no error, or where it has none."""
    if any(problem.severity is Severity.ERROR and problem.rule != SYNTAX for problem in problems):
        return problems
    told = list(word_findings(tokens))
    return [*told, *(problem for problem in problems if problem.rule != SYNTAX)] if told else problems


def count_statements(text: str) -> int:
    """Tell how many statements a text holds; one when it cannot be read."""
    try:
        return sum(1 for _ in _split(PlainRedshift().tokenize(text)))
    except SqlglotError:
        return 1


def _split(tokens: list[Token]) -> Iterator[list[Token]]:
    statement: list[Token] = []
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            if statement:
                yield statement
            statement = []
        else:
            statement.append(token)
    if statement:
        yield statement


def _parse(tokens: list[Token], text: str) -> tuple[exp.Expr | None, list[Finding]]:
    first = tokens[0]
    line, column = first.line, max(first.col - len(first.text) + 1, 1)
    size = len(text[first.start : tokens[-1].end + 1].encode())
    if size > _MAX_STATEMENT_BYTES:
        return None, [_syntax(f"The statement holds {size} bytes, Redshift takes 16 MB", line, column)]
    shown = " ".join(token.text for token in tokens[:12])
    if _is_merge_of_duplicates(tokens):
        return None, []
    is_own = _COMMANDS.match(shown.lower()) is not None
    tokens = _without_attributes(tokens)
    try:
        with _quiet_fallback():
            tree = _tree(tokens, text)
    except (SqlglotError, RecursionError) as error:
        return None, [] if is_own else [_syntax_error(error, line, column)]
    if is_own:
        is_judged = isinstance(tree, exp.Command) or (isinstance(tree, exp.Create) and tree.kind == "DATABASE")
        return (tree if is_judged else None), []
    if tree is not None and (isinstance(tree, _STATEMENTS) or _is_judged(tree)):
        return tree, []
    return None, [_syntax(f"Redshift has no statement that begins with {' '.join(shown.split()[:3])}", line, column)]


def _tree(tokens: list[Token], text: str) -> exp.Expr | None:
    parser = Dialect.get_or_raise(PlainRedshift).parser()
    try:
        return parser.parse(tokens, text)[0]
    except SqlglotError:
        plain, paths = take_paths(text[tokens[0].start : tokens[-1].end + 1])
        if not paths:
            raise
        return parser.parse(PlainRedshift().tokenize(plain), plain)[0]


def _is_merge_of_duplicates(tokens: list[Token]) -> bool:
    """MERGE … REMOVE DUPLICATES, which sqlglot cannot parse; sqlfluff can."""
    ends = [tokens[0].text, *(token.text for token in tokens[-2:])]
    return [word.upper() for word in ends] == ["MERGE", "REMOVE", "DUPLICATES"]


def _without_attributes(tokens: list[Token]) -> list[Token]:
    """Leave out the attributes of columns in CREATE TABLE: sqlglot reads only some of their orders."""
    words = [token.text.lower() for token in tokens]
    if words[:1] != ["create"] or "table" not in words[:5]:
        return tokens
    kept, place = [], 0
    while place < len(tokens):
        word, after = words[place], words[place + 1 : place + 2]
        is_bare = after in (
            [","],
            [")"],
            ["sortkey"],
            ["distkey"],
            ["encode"],
            ["not"],
            ["null"],
            ["primary"],
            ["unique"],
        )
        is_alone = word in ("interleaved", "compound") or [word, *after] in (["local", "temporary"], ["local", "temp"])
        if word == "encode" or [word, *after] == ["sortkey", "auto"]:
            place += 2
        elif is_alone or (word in ("distkey", "sortkey") and is_bare):
            place += 1
        else:
            kept.append(tokens[place])
            place += 1
    return kept


def _is_judged(tree: exp.Expr) -> bool:
    """Whether a rule says more about a statement than that it is unknown."""
    return isinstance(tree, exp.Command) and any(rule.find(tree) for rule in STATEMENT_RULES)


def _syntax_error(error: Exception, line: int, column: int) -> Finding:
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        message = str(first.get("description", "")).split(". Line ")[0].split(" but got <Token")[0].rstrip(".")
        return _syntax(message, first.get("line") or line, first.get("col") or column)
    if isinstance(error, RecursionError):
        return _syntax("The statement is nested too deeply to be read", line, column)
    return _syntax(_RESET.sub("", str(error)).splitlines()[0].rstrip("."), line, column)


def _syntax(message: str, line: int, column: int) -> Finding:
    return Finding(SYNTAX, Severity.ERROR, line, column, f"{message}.", "Write it in Redshift's SQL.")


@contextmanager
def _quiet_fallback() -> Iterator[None]:
    """Keep sqlglot from logging that it keeps a statement as text: what is unknown becomes a finding."""
    logger = logging.getLogger("sqlglot")
    logger.addFilter(_is_no_fallback)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_fallback)


def _is_no_fallback(record: logging.LogRecord) -> bool:
    return "Falling back to parsing as a 'Command'" not in record.getMessage()
