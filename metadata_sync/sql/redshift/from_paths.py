"""SUPER paths in FROM that sqlglot cannot read: with brackets, with AT, after UNPIVOT.

Each is replaced by the name of a table that does not exist.
Source: https://docs.aws.amazon.com/redshift/latest/dg/query-super.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import Token, TokenType

from metadata_sync.sql.redshift.dialect import PlainRedshift

WORTH_READING = re.compile(r"\[|\bat\s+\w|\bunpivot\b", re.IGNORECASE)
ELEMENTS = "rs_elements_"
ENDS = frozenset(
    {TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.QUALIFY, TokenType.ORDER_BY, TokenType.LIMIT}
    | {TokenType.UNION, TokenType.INTERSECT, TokenType.EXCEPT, TokenType.SELECT, TokenType.START_WITH, TokenType.ON}
)
STARTS = frozenset({TokenType.FROM, TokenType.JOIN})


@dataclass(frozen=True)
class FromPath:
    """A path in FROM.

    Attributes:
        path: As it was written.
        position: Name of AT: of the position or, after UNPIVOT, of the attribute.
        is_unpivot: Whether it reads an object's attributes instead of an array's elements.
    """

    path: str
    position: str | None
    is_unpivot: bool


def take_paths(text: str) -> tuple[str, list[FromPath]]:
    """Take such paths out of a statement.

    Args:
        text: One statement.

    Returns:
        The statement with `rs_elements_N` in their place, and the paths by N.
    """
    if not WORTH_READING.search(text):
        return text, []
    reader = _Reader(text, PlainRedshift().tokenize(text))
    return reader.read(), reader.paths


class _Reader:
    """Walks through tokens; knows at each depth of brackets whether it stands in FROM."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self.text, self.tokens = text, tokens
        self.paths: list[FromPath] = []
        self.is_in_from = [False]

    def read(self) -> str:
        parts, copied, at = [], 0, 0
        while at < len(self.tokens):
            token = self.tokens[at]
            self._note(token)
            starts = token.token_type in STARTS or (token.token_type is TokenType.COMMA and self.is_in_from[-1])
            found = self._path(at + 1) if starts else None
            if found is not None:
                start, end, words = found
                parts += [self.text[copied:start], words]
                copied = end
                while at + 1 < len(self.tokens) and self.tokens[at + 1].start < end:
                    at += 1
            at += 1
        return "".join([*parts, self.text[copied:]])

    def _note(self, token: Token) -> None:
        if token.token_type is TokenType.L_PAREN:
            self.is_in_from.append(False)
        elif token.token_type is TokenType.R_PAREN and len(self.is_in_from) > 1:
            self.is_in_from.pop()
        elif token.token_type in STARTS:
            self.is_in_from[-1] = True
        elif token.token_type in ENDS:
            self.is_in_from[-1] = False

    def _is(self, at: int, *kinds: TokenType) -> bool:
        return at < len(self.tokens) and self.tokens[at].token_type in kinds

    def _word(self, at: int) -> str:
        return self.tokens[at].text.lower() if at < len(self.tokens) else ""

    def _path(self, at: int) -> tuple[int, int, str] | None:
        """Start, end and replacement of the path that begins at a token, if it is one."""
        first = at
        is_unpivot = self._is(at, TokenType.UNPIVOT)
        at += is_unpivot
        start, has_bracket = at, False
        at += 1
        while self._is(at, TokenType.DOT, TokenType.L_BRACKET):
            if self._is(at, TokenType.L_BRACKET):
                has_bracket = True
                while not self._is(at, TokenType.R_BRACKET):
                    at += 1
                at += 1
            else:
                at += 2
        end = at
        at += self._is(at, TokenType.ALIAS)
        if at >= len(self.tokens) or not re.match(r'[\w"]', self.text[self.tokens[at].start]):
            return None
        alias, position = self.text[self.tokens[at].start : self.tokens[at].end + 1], None
        if self._word(at + 1) == "at":
            at += 2
            position = self._word(at)
        if not (is_unpivot or has_bracket or position):
            return None
        path = self.text[self.tokens[start].start : self.tokens[end - 1].end + 1]
        self.paths.append(FromPath(path, position, is_unpivot))
        name = f"{ELEMENTS}{len(self.paths) - 1} as {alias}"
        return self.tokens[first].start, self.tokens[at].end + 1, name
