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
from metadata_sync.sql.redshift.synopses import beside

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
        r"|rollback (work |transaction )?to|create recursive view|replace into|handler|rename table|optimize"
        r"|pragma)\b",
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
        r"|force row|add (constraint \S+ )?(check|exclude)|drop primary key|rename (?!to |column )\w+ to"
        r"|modify|change"
        r"|add (index|key|fulltext)|(add|drop) (column )?if (not )?exists(?! partition)|alter column \S+ (set|drop|add"
        r"|reset|restart))\b",
        "Redshift's ALTER TABLE has no {found}.",
        "Rebuild the table, or add a column and fill it.",
    ),
    _rule(
        "copy",
        "r_COPY.html",
        r"^copy .*?\b(from (stdin|program)|to (stdout|program|''))|^copy \(|^copy .* (with|from '') \(",
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
        "changed_rows",
        "r_DELETE.html",
        r"^(update|delete)\b(?!.*\bfrom \().*\b(order by|limit)\b[^()]*$|^update .* set .* (join|left"
        r"|inner) \S+ on [^()]*$",
        "Redshift's UPDATE and DELETE have no {found}.",
        "Name the rows by WHERE.",
    ),
    _rule(
        "foreign_clause",
        "r_SELECT_synopsis.html",
        r"\bmatched then do nothing\b|\btop \S+ percent\b|\blimit \S+ percent\b|\bwith (totals|ties|rollup"
        r"|cube)\b|\bfor (system_time|version|timestamp) as of\b"
        r"|\bis (not )?(json|normalized|document)\b|\blateral view\b|\bat local\b"
        r"|[\w')] (rlike|regexp|sounds like|glob) ''|\bextract \( (julian|isodow|isoyear)\b"
        r"|\b(left|right) (semi|anti) join\b|\b(semi|anti|asof|positional) join\b|\bcluster by\b"
        r"|\bdistribute by\b|\bsort by\b"
        r"|\bstraight_join\b|\b(force|use|ignore) index\b|\binto outfile\b|\bconnect_by_root\b"
        r"|\bmatch_recognize \(|\bmodel dimension\b",
        "Redshift's queries have no {found}.",
        "Leave it out, or write the query another way.",
    ),
    _rule(
        "view_clause",
        "materialized-view-create-sql-command.html",
        r"^create (or replace materialized view|materialized view if not exists)\b"
        r"|^create materialized view .* with (no )?data$",
        "Redshift's CREATE MATERIALIZED VIEW has no {found}.",
        "Drop the view before, and leave the option out.",
    ),
    _rule(
        "table_option",
        "r_CREATE_TABLE_NEW.html",
        rf"^create (?!external|function|or replace|procedure|view|model){_DEFINITION}(\bdeferrable\b"
        rf"|\binitially (deferred|immediate)\b"
        r"|default (character set|charset)\b|\bengine =|\bauto_increment\b|\bautoincrement\b|\bon update\b"
        r"|\b\w*int(eger)?( \( \d+ \))? unsigned\b"
        r"|\bcomment '')|^create (local )?(temp |temporary )?table \S+ as execute\b"
        r"|^create external table .*\b(primary key|foreign key|unique|not null|references|distkey|sortkey"
        r"|identity)\b",
        "Redshift's CREATE TABLE has no {found}.",
        "Leave it out.",
    ),
    _rule(
        "function_option",
        "r_CREATE_FUNCTION.html",
        r"^create (or replace )?function .*(\bparallel (safe|unsafe|restricted)\b|\bleakproof\b"
        r"|\bsecurity (definer|invoker)\b"
        r"|\bon null input\b|\bstrict\b|\bcost \d|\brows \d|\bset \w+ (=|to)\b)"
        r"|^create (or replace )?((non)?atomic )?procedure .*\blanguage '?(?!plpgsql)\w+",
        "Redshift's functions and procedures have no {found}.",
        "Leave it out; procedures are in plpgsql.",
    ),
    _rule(
        "grant_option",
        "r_GRANT.html",
        r"^(grant|revoke) (?!role\b).*\bwith (admin|hierarchy) option\b|^(grant|revoke) .* granted by\b",
        "Redshift's GRANT has no {found}.",
        "Leave it out.",
    ),
    _rule(
        "other_statement",
        "c_SQL_commands.html",
        r"^(set @|show create\b|show (full|index|variables|processlist|columns in)\b|describe\b"
        r"|desc (?!datashare|identity)"
        r"|use (database|schema|warehouse|role) \w|pivot\b|from\b|flush\b|kill\b|undrop\b|clone\b|msck\b"
        r"|exec\b|go$|print\b)",
        "Redshift has no statement {found}.",
        "Leave it out, or write one of Redshift's statements.",
    ),
    _rule(
        "maintenance",
        "r_VACUUM_command.html",
        r"^vacuum (freeze|verbose|analyze|\()|^explain (analyze|\()|^lock .* in |^analyze \(",
        "Redshift's statement has other options than {found}.",
        "Write VACUUM [FULL | SORT ONLY | DELETE ONLY | REINDEX | RECLUSTER] table, EXPLAIN query, LOCK table.",
    ),
    _rule(
        "udf_result",
        "r_CREATE_FUNCTION.html",
        r"^create (or replace )?function .*? returns (setof|table)\b",
        "A function of Redshift's returns one value, not {found}.",
        "Return one value, or write a view.",
    ),
    _rule(
        "temporary_view",
        "r_CREATE_VIEW.html",
        r"^create (or replace )?(local )?(temp|temporary) (recursive )?view\b"
        r"|^create .*\bview .* with (local |cascaded )?check option",
        "Redshift's views are not like this: {found}.",
        "Create a temporary table, or a view without the option.",
    ),
    _rule(
        "commented_object",
        "r_COMMENT.html",
        r"^comment on (?!(table|column|constraint|database|view)\b)\w+",
        "Redshift comments tables, columns, constraints, databases and views: {found}.",
        "Leave it out.",
    ),
    _rule(
        "refresh_option",
        "materialized-view-refresh-sql-command.html",
        r"^refresh materialized view (concurrently\b|.* with (no )?data$)",
        "REFRESH MATERIALIZED VIEW has no {found}.",
        "Leave it out.",
    ),
    _rule(
        "key_action",
        "r_CREATE_TABLE_NEW.html",
        r"\breferences \S+(?: \. \S+)?(?: \( [^)]* \))? (on (delete|update)|match (full|partial|simple)"
        r"|(not )?deferrable|initially)\b",
        "Redshift enforces no foreign keys, and takes none with {found}.",
        "Leave it out.",
    ),
    _rule(
        "distribution",
        "r_CREATE_TABLE_NEW.html",
        rf"^create {_DEFINITION}(\bdistkey\b(?! as\b){_DEFINITION}\bdistkey\b"
        rf"|\bdistkey\b{_DEFINITION}\bdiststyle (even|all|auto)\b|\bdiststyle (even|all"
        rf"|auto)\b{_DEFINITION}\bdistkey\b"
        r"|\bdistkey \( \w+ ,)",
        "A table has one DISTKEY column, and no other DISTSTYLE than KEY beside it: {found}.",
        "Name one column by DISTKEY, or write DISTSTYLE EVEN, ALL or AUTO alone.",
    ),
    _rule(
        "key_type",
        "limitations-super.html",
        rf"^create {_DEFINITION}[(,] \w+ (super|geometry|geography|hllsketch)( (not null|null"
        rf"|encode \w+))* (distkey|sortkey)\b",
        "A column of this type is no key: {found}.",
        "Distribute and sort by another column.",
    ),
    _rule(
        "interleaved",
        "r_CREATE_TABLE_NEW.html",
        r"\binterleaved sortkey \( \w+( , \w+){8,} \)",
        "An interleaved sort key has up to eight columns: {found}.",
        "Leave columns out, or make it compound.",
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
        r"|\blimit \S+ by\b"
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
        r"^insert .*?\b(overriding (system|user)|on duplicate key)|^insert (or|ignore|overwrite)\b"
        r"|^insert into \S+(?: \. \S+)? (set|as)\b",
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
    for synopsis in beside(words):
        message = f"This is not Redshift's statement: {synopsis.text}."
        yield _finding("synopsis", synopsis.page, tokens[0], message, "Leave out what is more.")
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
        if token.token_type is TokenType.IDENTIFIER:
            word = re.sub(r"\W", "_", token.text.lower())
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
