"""What the words of a statement tell without a tree: constructs that sqlglot reads as something else, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import Token, TokenType

from metadata_sync.sql.redshift.missing_functions import MISSING_FUNCTIONS
from metadata_sync.sql.redshift.query_rules import REMEDIES
from metadata_sync.sql.redshift.rule import GUIDE, Finding, Severity

_FEATURES: Final = "c_unsupported-postgresql-features.html"
_OBJECTS: Final = (
    r"((constraint |event )?trigger|rule|extension|domain|aggregate|operator|(unique )?index|sequence|type"
    r"|tablespace|cast|collation|conversion|(trusted |procedural )*language|server"
    r"|foreign (table|data wrapper)|publication"
    r"|subscription|statistics|text search|access method|transform|policy|unlogged|assertion)\b"
)

_DEFINITION: Final = r"(?:(?!\bas (?:\( )?(?:with|select)\b).)*?"
"""What stands before the query of CREATE … AS."""
_TYPES: Final = (
    r"bytea|tsvector|tsquery|box|circle|lseg|line|path|point|polygon|cidr|macaddr8?|regclass|regproc|txid_snapshot"
    r"|int[48]range|numrange|tsrange|tstzrange|daterange|bit varying|bit|varbit|xml|money|inet|hstore|citext|ltree"
    r"|jsonpath|name|smallserial|serial[248]?|bigserial|uuid|jsonb?|tinyint|nclob|clob|blob|enum"
)


@dataclass(frozen=True, slots=True)
class WordRule:
    """A construct that its words tell.

    Attributes:
        name: Of the rule.
        page: Page of AWS's guide.
        pattern: Over the statement's words in lower case, one blank between them, literals as `''`.
        message: What is wrong; `{found}` stands for the words that were found.
        remedy: What to write instead.
    """

    name: str
    page: str
    pattern: re.Pattern[str]
    message: str
    remedy: str


def _rule(name: str, page: str, pattern: str, message: str, remedy: str) -> WordRule:
    return WordRule(name, page, re.compile(pattern), message, remedy)


WORD_RULES: Final = (
    _rule(
        "other_object",
        _FEATURES,
        rf"^(create (or replace )?|alter |drop |comment on ){_OBJECTS}",
        "Redshift has no {found}.",
        "Leave it out; SORTKEY and DISTKEY take the place of indexes, IDENTITY that of sequences.",
    ),
    _rule(
        "statement",
        "c_SQL_commands.html",
        r"^(listen|notify|unlisten|cluster|reindex|checkpoint|discard|do|import|load|move|reassign|savepoint|release"
        r"|security label|values|table|prepare transaction|(commit|rollback) prepared|set constraints|set transaction"
        r"|rollback (work |transaction )?to|create recursive view|replace into|handler|rename table|optimize|pragma)\b",
        "Redshift has no statement {found}.",
        "Leave it out, or write one of Redshift's statements.",
    ),
    _rule(
        "table_clause",
        "r_CREATE_TABLE_NEW.html",
        rf"^create (?!external){_DEFINITION}(\bpartition of\b"
        r"|\) (with \( ?\w+ ?=|tablespace|inherits|on commit|using \w+)"
        r"|exclude (using|\()"
        r"|generated always as \( ?(?!identity)|\bstored\b|storage (plain|main)|check \()",
        "Redshift's CREATE TABLE has no {found}.",
        "Leave it out.",
    ),
    _rule(
        "alter_action",
        "r_ALTER_TABLE.html",
        r"^alter table (if exists|only)|^alter table \S+ set \("
        r"|^alter table \S+(?: \. \S+)? (inherit|no inherit|attach partition"
        r"|detach partition|enable|disable|set (schema|tablespace|logged|unlogged)|cluster on|replica|validate"
        r"|of|not of"
        r"|force row|add (constraint \S+ )?(check|exclude)|alter column \S+ (set|drop|add|reset|restart))\b",
        "Redshift's ALTER TABLE has no {found}.",
        "Rebuild the table, or add a column and fill it.",
    ),
    _rule(
        "copy",
        "r_COPY.html",
        r"^copy .*?\b(from (stdin|program)|to (stdout|program|''))|^copy \(",
        "Redshift's COPY reads S3, EMR, DynamoDB and SSH only; this is {found}.",
        "Write FROM 's3://…', or UNLOAD.",
    ),
    _rule(
        "truncate_clause",
        "r_TRUNCATE.html",
        r"^truncate .*(, |\bcascade|restart identity|continue identity|\bonly\b)",
        "TRUNCATE takes one table and no options; this is {found}.",
        "Write one statement for each table.",
    ),
    _rule(
        "maintenance",
        "r_VACUUM_command.html",
        r"^vacuum (freeze|verbose|analyze|\()|^explain (analyze|\()|^lock .* in |^analyze \(",
        "Redshift's statement has other options than {found}.",
        "Write VACUUM [FULL | SORT ONLY | DELETE ONLY | REINDEX | RECLUSTER] table, EXPLAIN query, LOCK table.",
    ),
    _rule(
        "udf_language",
        "r_CREATE_FUNCTION.html",
        r"^create (or replace )?function .*\blanguage '?(plpgsql|c|internal|plperl\w*|pltcl\w*|plv8)\b",
        "A function of Redshift's is written in SQL or Python; this is {found}.",
        "Write a procedure in PL/pgSQL, or the function in SQL.",
    ),
    _rule(
        "operator",
        "c_unsupported-postgresql-functions.html",
        r"(?<!\S)(@>|<@|&&|->>|->|#>>|#>|\?\||\?&|@@|~\*|!~\*|\*\*|!!|~~\*?|!~~\*?)(?!\S)",
        "Redshift has no operator {found}.",
        "Use lower() with ~, json_extract_path_text(), or a SUPER path.",
    ),
    _rule(
        "quantified_array",
        _FEATURES,
        r"\b(any|some|all) \( (array|''|string_to_array)",
        "Redshift compares with no array: {found}.",
        "Write IN (…), or a join.",
    ),
    _rule(
        "query_clause",
        "r_SELECT_synopsis.html",
        r"\bas (not )?materialized \(|with ordinality|rows from \(|\bxmltable \(|\bjson_table \("
        r"|between (a?symmetric)\b|exclude (current row|group|ties|no others)|\bfrom (first|last)\) over"
        r"|group by distinct|\boverlaps \("
        r"|order by [^()]*? using [<>]|search (depth|breadth) first|for (no key |key )?(update|share)\b"
        r"|\bcurrent_catalog\b| fetch (first|next)|\blateral\b|\b(from|update) only\b",
        "Redshift's queries have no {found}.",
        "Leave it out, or write the query another way.",
    ),
    _rule(
        "row_constructor",
        _FEATURES,
        r"(?<!\.) row \(",
        "Redshift has no row constructor: {found}.",
        "Compare column by column.",
    ),
    _rule(
        "insert_clause",
        "r_INSERT_30.html",
        r"^insert .*?\b(overriding (system|user)|on duplicate key)|^insert (or|ignore|overwrite)\b",
        "Redshift's INSERT has no {found}.",
        "Leave it out; delete the rows that are there, then insert.",
    ),
    _rule(
        "current_of",
        "declare.html",
        r"where current of|^declare .*\b(scroll|with hold|insensitive|binary)\b"
        r"|^fetch (prior|last|absolute|relative|backward)",
        "Redshift's cursors only go forward and change no rows: {found}.",
        "Name the rows by a key.",
    ),
    _rule(
        "grant_object",
        "r_GRANT.html",
        r"^(grant|revoke) .*? on (all )?(sequences?|types?|domain|foreign|tablespace|large object)\b",
        "Redshift grants nothing on such an object: {found}.",
        "Leave it out.",
    ),
    _rule(
        "type_name",
        "c_unsupported-postgresql-datatypes.html",
        rf"(:: |cast \( [^()]*? as )({_TYPES})\b(?! \.)"
        rf"|^(create|alter) {_DEFINITION}([(,]|add column) \w+ ({_TYPES})( |$)(?!\()",
        "Redshift has no such type: {found}.",
        "Use varchar, SUPER, VARBYTE or decimal.",
    ),
    _rule(
        "array_type",
        "c_unsupported-postgresql-datatypes.html",
        r"(:: \w+( \( \d+ \))?|\bas \w+|[(,] \w+ (int|integer|text|varchar|bigint|date|numeric)( \( \d+ \))?)"
        r" \[ (\d+ )?\]",
        "Redshift has no array types: {found}.",
        "Use SUPER.",
    ),
)
"""Tried on every statement."""


_COMMANDS: Final = (TokenType.COMMAND, TokenType.EXECUTE, TokenType.FETCH, TokenType.SHOW, TokenType.LOCK)


def word_findings(tokens: Sequence[Token]) -> Iterator[Finding]:
    """Find what the words of one statement tell."""
    words, starts = _words(tokens)
    for rule in WORD_RULES:
        found = rule.pattern.search(words)
        if found is not None:
            token = tokens[max((n for n, start in enumerate(starts) if start <= found.start()), default=0)]
            yield _finding(rule.name, rule.page, token, rule.message.format(found=_shown(found.group())), rule.remedy)
    yield from _function_findings(tokens)


def _function_findings(tokens: Sequence[Token]) -> Iterator[Finding]:
    """Find calls of functions that Redshift does not have; a call with a schema is a user's own."""
    for before, token, after in zip([None, *tokens], tokens, tokens[1:], strict=False):
        name = token.text.lower()
        is_call = after.token_type is TokenType.L_PAREN and name in MISSING_FUNCTIONS
        is_own = before is not None and (
            before.token_type is TokenType.DOT
            or before.text.lower() in ("function", "table", "into", "procedure", "as")
        )
        if is_call and not is_own and token.token_type not in (TokenType.STRING, TokenType.IDENTIFIER):
            remedy = REMEDIES.get(name, "Use one of Redshift's functions.")
            page = "c_unsupported-postgresql-functions.html"
            yield _finding("functions", page, token, f"Redshift has no {name}().", remedy)


def _words(tokens: Sequence[Token]) -> tuple[str, list[int]]:
    literals = (TokenType.STRING, TokenType.NATIONAL_STRING, TokenType.HEREDOC_STRING, TokenType.RAW_STRING)
    words, starts, size = [], [], 0
    for number, token in enumerate(tokens):
        word = "''" if token.token_type in literals else " ".join(token.text.lower().split())
        if number == 1 and tokens[0].token_type in _COMMANDS:  # the rest of a command is one token
            word = " ".join(re.findall(r"\w+|'[^']*'|\S", token.text.lower()))
        words.append(word)
        starts.append(size)
        size += len(word) + 1
    return " ".join(words), starts


def _shown(words: str) -> str:
    text = words.strip(" (").upper()
    return text if len(text) < len("x" * 50) else f"{text[:24]} … {text[-24:]}"


def _finding(name: str, page: str, token: Token, message: str, remedy: str) -> Finding:
    column = max(token.col - len(token.text) + 1, 1)
    return Finding(name, Severity.ERROR, token.line, column, message, remedy, GUIDE + page)
