"""Parsing: the text of a SELECT becomes a tree, and a list of the tables it reads, each with its place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlglot
from sqlglot import Dialect, Token, TokenType, exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, SqlglotError

from metadata_sync.problems import Problem
from metadata_sync.rows.names import TableName, is_identifier

WINDOW_MARKER: Final = "sluice:window"
"""Beginning of the window's comment in compiled SQL; only macros may write it."""

_QUERY_BEGINNINGS: Final = (
    TokenType.FROM,
    TokenType.L_PAREN,
    TokenType.SELECT,
    TokenType.TABLE,
    TokenType.VALUES,
    TokenType.WITH,
)
MAX_TOKENS: Final = 100_000
"""Tokens of a SELECT; a million take minutes to parse."""

MAX_LENGTH: Final = 400_000
"""Characters of a SELECT."""

_CLOSING: Final = {
    TokenType.L_PAREN: TokenType.R_PAREN,
    TokenType.L_BRACKET: TokenType.R_BRACKET,
    TokenType.L_BRACE: TokenType.R_BRACE,
}
_JINJA_OPENING: Final = re.compile(r"\{[{%#]")
_GAP_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_MISSING_PART: Final = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]*\.(\w+)'>")
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")


class _PathsAsWritten(DuckDB):
    """DuckDB's SQL; a path into JSON stays the text that it is: `a.b` is one key there, `$.a.b` are two."""

    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        """Return the path as it is written."""
        return path


_DUCKDB: Final = _PathsAsWritten()


@dataclass(frozen=True, slots=True)
class TableRead:
    """One place where a SELECT reads a table.

    Attributes:
        name: The table.
        start: Offset of the first character of `schema.table` in the text.
        end: Offset after its last character.
        line: Line of the name, from 1.
        has_alias: Whether the text gives it an alias.
        node: The table in the tree.
    """

    name: TableName
    start: int
    end: int
    line: int
    has_alias: bool
    node: exp.Table = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ParsedSelect:
    """A single query.

    Attributes:
        text: The text as written.
        dialect: The warehouse's SQL, as sqlglot names it.
        tree: What it means.
        reads: The tables it reads, in the order of the text.
        semicolon: Offset of a final semicolon, or None.
    """

    text: str
    dialect: str
    tree: exp.Query
    reads: tuple[TableRead, ...]
    semicolon: int | None

    @property
    def tables(self) -> tuple[TableName, ...]:
        """The tables it reads, each once, sorted."""
        return tuple(sorted({read.name for read in self.reads}))


def parse_select(text: str, dialect: str) -> tuple[ParsedSelect | None, tuple[Problem, ...]]:
    """Parse one SELECT and find every table in it.

    Args:
        text: The file's content.
        dialect: `duckdb`, `postgres` or `redshift`.

    Returns:
        The parsed SELECT, or None when the text is not one; and the problems of its form.
    """
    tokens = _tokenize(text, dialect)
    if isinstance(tokens, Problem):
        return None, (tokens,)
    try:
        parsed = (_DUCKDB if dialect == "duckdb" else Dialect.get_or_raise(dialect)).parser().parse(tokens, text)
        tree = next(item for item in parsed if item is not None)
    except (SqlglotError, RecursionError) as error:
        return None, (_syntax_problem(error),)
    if not isinstance(tree, exp.Query):
        return None, (_not_a_select(tokens[0]),)
    reads, problems = _find_reads(tree, text)
    problems.extend(cte_problems(tree))
    semicolon = tokens[-1].start if tokens[-1].token_type is TokenType.SEMICOLON else None
    return ParsedSelect(text, dialect, tree, tuple(reads), semicolon), tuple(problems)


def _tokenize(text: str, dialect: str) -> list[Token] | Problem:
    """Split a text into tokens, or say why it cannot be one plain query."""
    problem = _text_problem(text)
    if problem is not None:
        return problem
    try:
        tokens = sqlglot.tokenize(text, dialect=dialect)
    except SqlglotError as error:
        return _syntax_problem(error)
    if len(tokens) > MAX_TOKENS:
        message = f"The query holds {len(tokens):,} words and symbols."
        return Problem("too_long", message, f"A SELECT has at most {MAX_TOKENS:,}; put long lists into a table.")
    return (
        _token_problem(text, tokens)
        or escape_problem(tokens)
        or _statement_problem(tokens)
        or _balance_problem(tokens)
        or tokens
    )


def _balance_problem(tokens: list[Token]) -> Problem | None:
    """Refuse brackets that are not closed: sqlglot accepts some of them."""
    if is_balanced([token for token in tokens if token.token_type is not TokenType.SEMICOLON]):
        return None
    return Problem("syntax", "Syntax error: brackets are not closed, or closed twice.", "Close each of them once.")


def is_balanced(tokens: Sequence[Token]) -> bool:
    """Tell whether brackets are balanced and no statement ends: sqlglot accepts some other texts."""
    opened: list[TokenType] = []
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            return False
        if token.token_type in _CLOSING:
            opened.append(_CLOSING[token.token_type])
        elif token.token_type in _CLOSING.values() and (not opened or opened.pop() is not token.token_type):
            return False
    return not opened


def escape_problem(tokens: list[Token]) -> Problem | None:
    """Refuse U&"…" and U&'…': names and texts that PostgreSQL spells out and sqlglot reads as written."""
    for first, sign, quoted in zip(tokens, tokens[1:], tokens[2:], strict=False):
        is_joined = first.end + 1 == sign.start and sign.end + 1 == quoted.start
        if first.text.lower() == "u" and sign.token_type is TokenType.AMP and is_joined and quoted.text:
            return _unicode_escape(first.line)
    found = next((token for token in tokens if token.token_type is TokenType.UNICODE_STRING), None)
    return None if found is None else _unicode_escape(found.line)


def _unicode_escape(line: int) -> Problem:
    message = f"Line {line} holds a name or text with Unicode escapes (U&)."
    return Problem("unicode_escape", message, "Write the characters themselves; put spaces around the operator &.")


def _statement_problem(tokens: list[Token]) -> Problem | None:
    """Refuse a text that is not one query before it is parsed: sqlglot accepts statements that it does not know."""
    semicolons = [token for token in tokens if token.token_type is TokenType.SEMICOLON]
    remedy = "Keep exactly one SELECT in the file."
    if len(tokens) == len(semicolons):
        return Problem("single_query", "The file holds no statement.", remedy)
    if len(semicolons) > 1 or (semicolons and semicolons[0] is not tokens[-1]):
        return Problem("single_query", "The file holds more than one statement.", remedy)
    return None if tokens[0].token_type in _QUERY_BEGINNINGS else _not_a_select(tokens[0])


def _not_a_select(token: Token) -> Problem:
    return Problem("not_a_select", f"The file begins with {token.text.upper()}.", "Write one SELECT, or WITH … SELECT.")


def _text_problem(text: str) -> Problem | None:
    if WINDOW_MARKER in text.lower():
        return Problem(
            "window_marker",
            f"The text holds the words {WINDOW_MARKER!r}, which mark Sluice's own windows.",
            "Remove them, also from comments and strings.",
        )
    if len(text) > MAX_LENGTH:
        message = f"The query holds {len(text):,} characters."
        return Problem("too_long", message, f"A SELECT has at most {MAX_LENGTH:,}; put long lists into a table.")
    match = _CONTROL_CHARACTER.search(text)
    if match:
        line = text.count("\n", 0, match.start()) + 1
        return Problem(
            "control_character",
            f"Line {line} holds the invisible character U+{ord(match.group()):04X}.",
            "Remove it and save the file as UTF-8 without a byte order mark.",
        )
    return None


def _token_problem(text: str, tokens: list[Token]) -> Problem | None:
    """Refuse Jinja outside strings and comments, and comments that databases read differently."""
    position = 0
    for start, end, kind in [*((token.start, token.end, token.token_type) for token in tokens), (len(text), 0, None)]:
        gap = text[position:start]
        for comment in _GAP_COMMENT.findall(gap):
            if comment.startswith("/*") and "/*" in comment[2:]:
                return Problem("nested_comment", "A comment holds another comment.", "Write one comment at a time.")
        is_code = kind is not TokenType.STRING and _JINJA_OPENING.match(text, start)
        if is_code or _JINJA_OPENING.search(_GAP_COMMENT.sub("", gap)):
            line = text.count("\n", 0, start) + 1
            remedy = "Write plain SQL with schema.table names; sluice sync turns them into ref() and source()."
            return Problem("jinja", f"Line {line} holds Jinja.", remedy)
        position = end + 1
    return None


def _syntax_problem(error: Exception) -> Problem:
    if isinstance(error, RecursionError):
        return Problem("too_deep", "The query is nested too deeply.", "Split it into common table expressions.")
    remedy = "Correct the SELECT; it is read in the warehouse's dialect."
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        message = str(first.get("description", "")).split(". Line ")[0].split(" but got <Token")[0].rstrip(".")
        message = _MISSING_PART.sub(r"\1 is incomplete", message)
        near = str(first.get("highlight") or "")
        where = f"line {first.get('line')}, column {first.get('col')}"
        return Problem("syntax", f"Syntax error at {where}, near {near!r}: {message}.", remedy)
    return Problem("syntax", f"Syntax error: {str(error).splitlines()[0]}.", remedy)


def _find_reads(tree: exp.Query, text: str) -> tuple[list[TableRead], list[Problem]]:
    reads: list[TableRead] = []
    problems: list[Problem] = []
    for node in tree.find_all(exp.Table):
        if not isinstance(node.this, exp.Identifier):  # a table function; checks.py looks at it
            continue
        if not node.args.get("db") and resolve_cte(node) is not None:
            continue
        found = _read_table(node, text)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            reads.append(found)
    return sorted(reads, key=lambda read: read.start), problems


def _read_table(node: exp.Table, text: str) -> TableRead | Problem:
    table, schema = node.this, node.args.get("db")
    line = table.meta.get("line", 0)
    written = node.copy()
    for extra in ("alias", "joins", "pivots", "sample", "when", "laterals"):
        written.set(extra, None)
    shown = written.sql(comments=False)
    if schema is None or node.args.get("catalog") is not None:
        remedy = "Write schema.table, as it stands in source_control or transformation_control."
        return Problem("table_name", f"Line {line} reads {shown}, which is not schema.table.", remedy, shown)
    try:
        name = TableName.parse(f"{folded(schema)}.{folded(table)}")
    except ValueError as error:
        return Problem("table_name", f"Line {line}: {error}.", "Rename the table, or quote nothing.", shown)
    start, end = schema.meta.get("start", -1), table.meta.get("end", -1) + 1
    if not text[start:end].lower().strip('"').startswith(name.schema) or name.table not in text[start:end].lower():
        return Problem("table_name", f"Line {line}: {shown} cannot be found in the text.", "Write it plainly.", shown)
    return TableRead(name, start, end, line, bool(node.alias), node)


def folded(identifier: exp.Expr) -> str:
    """Return a name as the warehouse folds it: unquoted names in lower case."""
    name = str(identifier.name)
    return name if identifier.args.get("quoted") else name.lower()


def resolve_cte(node: exp.Table) -> exp.CTE | None:
    """Find the common table expression that an unqualified name refers to in every warehouse, or None.

    A warehouse that does not see the expression takes the name for something else: a file, a catalog, another table.
    """
    name = folded(node.this)
    inner: exp.Expr = node
    outer = node.parent
    while outer is not None:
        clause = outer.args.get("with_")
        if isinstance(clause, exp.With) and isinstance(outer, exp.Query):
            found = _visible_cte(clause, name, inner if inner is clause else None, node)
            if found is not None:
                return found
        inner, outer = outer, outer.parent
    return None


def _visible_cte(clause: exp.With, name: str, inside: exp.Expr | None, node: exp.Table) -> exp.CTE | None:
    """Look a name up among the CTEs of one WITH; from inside it, the earlier ones are visible.

    The CTE itself is visible only in the recursive term of WITH RECURSIVE. PostgreSQL also sees later ones there, but
    DuckDB and Redshift do not.
    """
    found = None
    for cte in clause.expressions:
        if inside is not None and _is_within(node, cte):
            is_itself = folded(cte.args["alias"].this) == name
            return cte if is_itself and clause.args.get("recursive") and _is_in_recursive_term(node, cte) else found
        if folded(cte.args["alias"].this) == name:
            found = cte
    return found


def _is_in_recursive_term(node: exp.Expr, cte: exp.CTE) -> bool:
    query = cte.this
    return isinstance(query, exp.Union) and _is_within(node, query.expression)


def cte_problems(tree: exp.Query) -> Iterator[Problem]:
    """Refuse names of common table expressions that a warehouse may take for something else, such as a file."""
    for cte in tree.find_all(exp.CTE):
        name = folded(cte.args["alias"].this)
        if not is_identifier(name):
            remedy = "Name it in lower case letters, digits and underscores."
            yield Problem("cte_name", f"A common table expression is named {name!r}.", remedy, name)


def _is_within(node: exp.Expr, ancestor: exp.Expr) -> bool:
    current: exp.Expr | None = node
    while current is not None:
        if current is ancestor:
            return True
        current = current.parent
    return False
