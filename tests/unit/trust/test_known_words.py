"""A password that is a plain word is masked where it stands alone, and never in names or commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from metadata_sync import redact
from metadata_sync.redact import redact_text, remember_secrets


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """What a test makes known is forgotten after it."""
    before = dict(redact._known)
    yield
    redact._known.clear()
    redact._known.update(before)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("login with swordfish refused", "login with *** refused"),
        ("'swordfish'", "'***'"),
        ("etl/swordfish@db", "etl/***@db"),
        ("swordfish_orders and dwh.swordfish stay", "swordfish_orders and dwh.swordfish stay"),
        ("swordfishes", "swordfishes"),
    ],
)
def test_plain_word_is_masked_where_it_stands_alone(text: str, shown: str) -> None:
    remember_secrets({"DB_PASSWORD": "swordfish"})
    assert redact_text(text) == shown


@pytest.mark.parametrize("word", ["sluice", "postgres", "abc"])
def test_programs_and_short_words_stay(word: str) -> None:
    remember_secrets({"DB_PASSWORD": word})
    assert redact_text(f"run {word} again") == f"run {word} again"
    assert redact_text(f"password={word}") == "password=***"


def test_word_is_masked_also_in_a_text_that_was_shown_before_it_was_known() -> None:
    text = "login with gooseberry refused"
    assert redact_text(text) == text
    remember_secrets({"DB_PASSWORD": "gooseberry"})
    assert redact_text(text) == "login with *** refused"
