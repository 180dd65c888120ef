"""What macros and Python both write and must write alike: names of companion tables, definitions, window comments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from flows.spark.jobs import windows_of
from flows.warehouse.definition import Definition, tracking, tracks_of
from flows.warehouse.load_log import companion_table
from metadata_sync.rows.model import type_text
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import LoadType
from metadata_sync.sql.type_rules import key_kind
from tests.support.dbt_project import DbtProject
from tests.support.type_samples import DUCKDB, POSTGRES, REDSHIFT, REDSHIFT_REFUSED

PARTS = ("head", "side", "rejects")
TABLES = [
    TableName("dwh", "fact"),
    TableName("dwh_1", "a__b"),
    *(TableName("dwh", "f" * length) for length in range(45, 64)),
    TableName("s" * 63, "t" * 63),
]
SCD_COLUMNS = [[], ["b", "a"], ["Zip", "city", "City_2"], ["z", "Ärger", "_x", "A1"], ["a tracking b"]]
LOAD_TYPES = (LoadType.SCD1, LoadType.SCD2, LoadType.APPEND)
KEYS = [["id"], ["k1", "k2"], []]
SEQUENCES = [["at"], ["at", "lsn", "_sluice_x"], ["_sluice_effective_at"]]
WINDOWS: list[dict[str, Any]] = [
    {"source": "lake.flights", "start": None, "end": "2024-01-01 00:00:00.000000", "new": True},
    {"source": "lake.it's", "start": '"}', "end": "*/ select 1 /*", "new": False},
    {"source": "lake.gärten", "start": "\\ {", "end": "} */", "new": True},
]
TYPES = [sample.known_as for sample in (*DUCKDB, *POSTGRES, *REDSHIFT, *REDSHIFT_REFUSED)]
ANSWERS = """
{% macro answers(questions) %}
    {%- set companions = [] -%}
    {%- for name, part in questions.companions -%}
        {%- do companions.append(sluice.companion_relation(name, part).identifier) -%}
    {%- endfor -%}
    {%- set definitions = [] -%}
    {%- for type, key, sequence, names in questions.definitions -%}
        {%- set load = {"type": type, "key": key, "tracks": sluice.tracking(type, names)} -%}
        {%- set text = sluice.definition(load, sequence) -%}
        {%- do definitions.append({"tracks": load.tracks, "text": text, "read": sluice.read_definition(text)}) -%}
    {%- endfor -%}
    {%- set dependency = {"relation": "lake.t", "key": "k"} -%}
    {%- set comments = [] -%}
    {%- for window in questions.windows -%}
        {%- set window = dict(window, kind="timestamp", is_open=false) -%}
        {%- do comments.append(sluice.increment_sql(dependency, window, [], {})) -%}
    {%- endfor -%}
    {%- set key_kinds, written = [], [] -%}
    {%- for type in questions.types -%}
        {%- do key_kinds.append(sluice.kind_of_key(type)) -%}
        {%- do written.append(type | upper if type.islower() else type) -%}
    {%- endfor -%}
    {%- set compiled = comments | join(" union all ") -%}
    {{ return(tojson({
        "companions": companions,
        "definitions": definitions,
        "compiled": compiled,
        "windows": sluice.read_windows(compiled),
        "key_kinds": key_kinds,
        "type_texts": sluice.type_texts(written),
    })) }}
{% endmacro %}
"""


def _questions() -> dict[str, Sequence[Any]]:
    return {
        "companions": [(str(table), part) for table in TABLES for part in PARTS],
        "definitions": [
            (str(load_type), key, sequence, names)
            for load_type in LOAD_TYPES
            for key in KEYS
            for sequence in SEQUENCES
            for names in SCD_COLUMNS
        ],
        "windows": WINDOWS,
        "types": TYPES,
    }


@pytest.fixture(scope="module")
def answers(make_project: Callable[[str], DbtProject]) -> Mapping[str, Any]:
    """What the macros say, asked in one run."""
    project = make_project("shared")
    project.write("macros/helpers/answers.sql", ANSWERS)
    select = "select '{{ sluice.answers(var('questions')) | replace(\"'\", \"''\") }}' as answers"
    project.model("answers", select, materialized="table")
    result = project.run("--vars", json.dumps({"questions": _questions()}))
    assert result.success, result.messages
    ((text,),) = project.query("select answers from dwh.answers")
    found: Mapping[str, Any] = json.loads(text)
    return found


def test_companion_tables_have_the_same_name(answers: Mapping[str, Any]) -> None:
    assert answers["companions"] == [companion_table(table, part) for table in TABLES for part in PARTS]
    assert max(map(len, answers["companions"])) == 63


def test_definitions_are_read_as_they_are_written(answers: Mapping[str, Any]) -> None:
    asked = _questions()["definitions"]
    assert len(answers["definitions"]) == len(asked)
    for (load_type, key, sequence, names), answer in zip(asked, answers["definitions"], strict=True):
        tracks = tracking(LoadType(load_type), names)
        assert answer["tracks"] == tracks_of(answer["text"]) == answer["read"]["tracks"] == tracks
        assert answer["read"]["is_history"] == (load_type == "scd2")
        assert answer["read"]["has_key"] == bool(key)
        assert Definition.parse(answer["text"]) == Definition(load_type, tuple(key), tuple(sequence), tracks)


def test_windows_are_read_from_the_comments_that_hold_them(answers: Mapping[str, Any]) -> None:
    found = windows_of(answers["compiled"])
    assert list(found.values()) == answers["windows"]
    assert [{name: window[name] for name in asked} for asked, window in zip(WINDOWS, found.values(), strict=True)] == (
        WINDOWS
    )


def test_types_are_written_and_cut_windows_alike(answers: Mapping[str, Any]) -> None:
    assert answers["key_kinds"] == [key_kind(type_) for type_ in TYPES]
    written = [type_.upper() if type_.islower() else type_ for type_ in TYPES]
    assert answers["type_texts"] == [type_text(type_, "duckdb") for type_ in written]
