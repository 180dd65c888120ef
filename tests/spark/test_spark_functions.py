"""The functions that Spark lacks read and write JSON as DuckDB does."""

from __future__ import annotations

import json
import os
import random

import duckdb

from flows.spark.spark_functions import is_valid, value_at
from tests.equality.json_texts import DOCUMENTS, random_document

COUNT = int(os.environ.get("SLUICE_JSON_TEXTS", "3000"))
PATHS = {
    "$": [],
    "$.a": ["a"],
    "$.a.b": ["a", "b"],
    "$.a.a": ["a", "a"],
    "$[0]": [0],
    "$[-1]": [-1],
    "$.a[1]": ["a", 1],
    "$.é": ["é"],
    "a.b": ["a.b"],
}


def test_values_of_random_texts_are_duckdbs() -> None:
    choose = random.Random(int(os.environ.get("SLUICE_JSON_SEED", "0")))
    texts = [*DOCUMENTS, *(random_document(choose) for _ in range(COUNT))]
    rows = "(select unnest(?::varchar[]) as p)"
    connection = duckdb.connect()
    valid = [found for (found,) in connection.execute(f"select json_valid(p) from {rows}", [texts]).fetchall()]

    assert [is_valid(text) for text in texts] == valid

    good = [text for text, is_good in zip(texts, valid, strict=True) if is_good]
    assert len(texts) * 0.3 < len(good) < len(texts) * 0.9
    for path, steps in PATHS.items():
        expected = [found for (found,) in connection.execute(f"select p ->> '{path}' from {rows}", [good]).fetchall()]
        found = [value_at(text, json.dumps(steps)) for text in good]
        assert [None if item is None else item.removeprefix("v") for item in found] == expected, path


def test_what_is_no_json_is_marked() -> None:
    assert (value_at("{", "[]"), value_at(None, "[]"), is_valid(None)) == ("e", None, None)
