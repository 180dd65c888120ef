"""The pages of the documentation, as tests read them: headings, links, code, and what is written in backticks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
_FENCE = re.compile(r"^([ ]*)```([^\n`]*)\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code.

    Attributes:
        page: Where it stands.
        line: Line of its fence.
        language: The first word after the fence; empty: text or commands.
        text: What it holds.
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


@cache
def pages() -> tuple[Path, ...]:
    """Every page of the repository: the docs and the Markdown files at its root."""
    return tuple(sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")]))


def name_of(page: Path) -> str:
    """Return a page's path as people write it; the id of its tests."""
    return page.relative_to(REPOSITORY).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """Yield a page's fenced blocks."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        language = found[2].split()[0] if found[2].strip() else ""
        yield Block(page, line, language, found[3])


def prose(page: Path) -> str:
    """Return a page's text without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def code_spans(page: Path) -> list[str]:
    """Return what stands in backticks, outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and images, those to other sites left out."""
    text = re.sub(r"`[^`\n]+`", "", prose(page))
    return [target for target in _LINK.findall(text) if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors that both GitHub and MkDocs give a page's headings."""
    headings = re.findall(r"^#{1,6} (.+?)\s*$", prose(page), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    github = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}
    mkdocs = {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in plain}
    return github & mkdocs


def commands(page: Path) -> Iterator[str]:
    """Yield every `sluice …` command of a page: lines of blocks, fenced or indented, and words in backticks."""
    shown = [line for block in blocks(page) if block.language in {"", "bash", "sh"} for line in block.text.splitlines()]
    indented = re.findall(r"^(?: {4}|\t)(.+)$", prose(page), re.MULTILINE)
    for text in (*shown, *indented, *code_spans(page)):
        found = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(sluice(?: .*)?)$", text)
        if found:
            yield found[1]
