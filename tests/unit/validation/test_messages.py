"""What Sluice says to the mistakes of mistakes.yml: the golden file is what is said, and it reads like this."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.mistakes import GOLDEN, Mistake, faults_of, messages, read_mistakes

JARGON = (
    "Input should be",
    "valid dictionary",
    "instance of",
    "valid tuple",
    "valid string",
    "valid boolean",
    "unable to parse",
    "unable to interpret",
    "Extra inputs",
    "Field required",
    "Binder Error",
    "Catalog Error",
    "NoneType",
    "block mapping",
    "flow sequence",
    "plain scalar",
    "Traceback",
    "pydantic",
)
MISTAKES = read_mistakes()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mistakes").resolve()


def test_the_golden_file_holds_what_is_said(root: Path) -> None:
    assert GOLDEN.read_text(encoding="utf-8") == messages(root), "python -m tests.support.mistakes writes it anew"


def test_the_project_without_a_mistake_has_no_fault(root: Path) -> None:
    assert faults_of(None, root) == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=[item.title for item in MISTAKES])
def test_one_mistake_is_one_fault_with_place_and_remedy(mistake: Mistake, root: Path) -> None:
    (fault,) = faults_of(mistake, root)
    text = str(fault)
    assert fault.rule == mistake.rule
    assert re.match(r"dbt_project/control/shop\.yml:\d+: ", text), text
    assert fault.remedy.strip(), text
    assert fault.message[0].isupper() or fault.message.startswith("transformations/"), text


def test_at_least_forty_mistakes_break_at_least_thirty_rules() -> None:
    assert len(MISTAKES) >= 40
    assert len({item.rule for item in MISTAKES}) >= 30


@pytest.mark.parametrize("words", JARGON)
def test_no_message_has_the_jargon_of_a_validator(words: str) -> None:
    assert words.lower() not in GOLDEN.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("mistake", [item for item in MISTAKES if item.select is None], ids=lambda item: item.title)
def test_the_place_is_the_line_of_the_mistake(mistake: Mistake, root: Path) -> None:
    """The line that was changed, or the row when a line is missing, or the line that contradicts it."""
    (fault,) = faults_of(mistake, root)
    line = int(str(fault).split(":")[1])
    text = (root / "dbt_project" / "control" / "shop.yml").read_text()
    changed = text[: text.index(mistake.new)].count("\n") + 1 if mistake.new else line
    assert abs(line - changed) <= 8, f"{fault} is not at line {changed}"
