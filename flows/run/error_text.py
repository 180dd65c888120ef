"""The text of an error as people need it: the cause first, and their own SQL where the warehouse quotes it. Pure."""

from __future__ import annotations

import re
from typing import Final

_WINDOW: Final = re.compile(r"/\* (?:sluice:window|\{\"app\": \"dbt\").*?\*/ ?")
"""Comments that Sluice and dbt write into a statement."""
_CUT_OFF_END: Final = re.compile(r"/\* (?:sluice:window|\{\"app\": \"dbt\")(?:(?!\*/).)*$")
_CUT_OFF_BEGINNING: Final = re.compile(r"(?<=\.\.\.)[^'\n]*?\"[^'\n]*?\} ?\*/ ?")
_QUOTED: Final = re.compile(r"(LINE \d+: )(.*)\n( *)(\^+)(?=\n|$)")
_DBT_HEAD: Final = re.compile(
    r"\A\s*(?:Runtime|Database) Error in (?:model|test|unit_test|snapshot|seed) [^\n]*\n\s*(?=\S)"
)


def cause_of(text: str) -> str:
    r"""Return an error without dbt's first line, which names the model only, and without Sluice's comments in the SQL.

    Args:
        text: The message of dbt or the warehouse.

    >>> print(cause_of('Runtime Error in model dwh__fact (models/x.sql)\n  Binder Error: no column "nope"\n'
    ...                '  LINE 1: select nope from (/* sluice:window {"end": "9"} */ select 1) where nope\n'
    ...                '                                                                             ^^^^'))
    Binder Error: no column "nope"
      LINE 1: select nope from (select 1) where nope
                                                ^^^^
    """
    shown = _DBT_HEAD.sub("", text)
    return _WINDOW.sub("", _QUOTED.sub(_requote, shown))


def _requote(match: re.Match[str]) -> str:
    head, line, indent, caret = match.groups()
    begin = match.string.rfind("\n", 0, match.start()) + 1
    offset = len(indent) - (match.start() - begin) - len(head)
    kept, removed = "", 0
    last = 0
    for span in _spans(line):
        kept += line[last : span[0]]
        removed += max(0, min(offset, span[1]) - span[0])
        last = span[1]
    kept += line[last:]
    return f"{head}{kept}\n{indent[: len(indent) - removed] if removed < len(indent) else ''}{caret}"


def _spans(line: str) -> list[tuple[int, int]]:
    """Return where comments of Sluice and dbt stand in a quoted line, whole or cut off by the warehouse."""
    whole = [found.span() for found in _WINDOW.finditer(line)]
    first = whole[0][0] if whole else len(line)
    beginning = _CUT_OFF_BEGINNING.search(line, 0, first)
    if beginning and "/*" not in line[: beginning.end() - 3]:
        whole.insert(0, beginning.span())
    last = whole[-1][1] if whole else 0
    end = _CUT_OFF_END.search(line, last)
    return [*whole, *([end.span()] if end else [])]
