"""YAML files: typed rows, every fault at once with its place, hostile text, and the way back."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metadata_sync.control.bundle import bundle_files, read_bundle
from metadata_sync.control.export import export_document, export_rows
from metadata_sync.control.yaml_source import YamlError, parse_yaml
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.merge import ColumnId, ControlState, RowId, make_plan, replaced
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.vocabulary import DeactivatedBy, LoadType, OnTie, Trigger
from tests.support.control_support import FLIGHTS, pipeline, read_text, rows, small_rows, source, transformation


def test_files_become_typed_rows(tmp_path: Path) -> None:
    bundle = read_text(tmp_path, FLIGHTS)
    assert bundle.faults == ()
    (row,) = bundle.rows.transformations
    assert row.load_type is LoadType.SCD2
    assert row.business_key == ("tailnum",)
    assert [dependency.driving for dependency in row.dependencies] == [True, False]
    assert {"load_type", "business_key"} <= row.model_fields_set
    assert "is_active" not in row.model_fields_set


def test_rows_of_several_files_are_one_bundle(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.yml").write_text("pipelines: [{pipeline_id: p, pipeline_name: P, template: presentation}]\n")
    (tmp_path / "b" / "c.yaml").write_text("sources: [{schema: s, table: t, kind: warehouse}]\n")
    (tmp_path / "empty.yml").write_text("# nothing yet\n")
    (tmp_path / "notes.txt").write_text("not: a bundle")
    files = bundle_files(tmp_path, tmp_path)
    assert [path.name for path in files] == ["a.yml", "c.yaml", "empty.yml"]
    bundle = read_bundle(files, "dev", tmp_path)
    assert bundle.faults == ()
    assert len(bundle.rows.pipelines) == len(bundle.rows.sources) == 1


OVERRIDES = """
pipelines:
  - pipeline_id: p
    pipeline_name: P
    template: presentation
    schedule: "5 * * * *"
    environments: {stage: {schedule: null, is_active: false}, prod: {owner: ops}, dev: }
"""


@pytest.mark.parametrize(
    ("environment", "expected"),
    [("dev", ("5 * * * *", True, None)), ("stage", (None, False, None)), ("prod", ("5 * * * *", True, "ops"))],
)
def test_overrides_hold_for_their_environment(tmp_path: Path, environment: str, expected: tuple[Any, ...]) -> None:
    bundle = read_text(tmp_path, OVERRIDES, environment)
    assert bundle.faults == ()
    (row,) = bundle.rows.pipelines
    assert (row.schedule, row.is_active, row.owner) == expected


ROW = "sources:\n  - {schema: lake, table: t, kind: lake, "

FAULTS = [
    ("sorces: []", "unknown_key", "sorces", "Did you mean 'sources'?"),
    ("sources: {a: 1}", "wrong_type", "sources", "- "),
    ("- 1", "wrong_type", None, "Begin with"),
    ("sources: [7]", "wrong_type", None, "column: value"),
    ("sources: [", "yaml_syntax", None, "quote"),
    ("pipelines:\n  - {pipeline_id: p, schedule: */5 * * * *}", "yaml_syntax", None, "begin with"),
    ("sources:\n\t- x", "yaml_syntax", None, "quotes"),
    ("sources: []\nsources: []", "duplicate_key", "sources", "Keep one"),
    (ROW + "lookback_minutes: 5, lookback_minutes: 6}", "duplicate_key", "lookback_minutes", "Keep one"),
    (ROW + "incremental_kye: a}", "unknown_column", "incremental_kye", "Did you mean 'incremental_key'?"),
    (ROW + "source_schema: a}", "unknown_column", "source_schema", "'schema'"),
    (ROW + "lookback_minutes: soon}", "wrong_type", "lookback_minutes", "without a unit"),
    (ROW + "lookback_minutes: -1}", "wrong_type", "lookback_minutes", "at least 0"),
    (ROW + "owner: 12}", "wrong_type", "owner", "quotes"),
    (ROW + "owner: no}", "wrong_type", "owner", "quotes"),
    (ROW + "owner: [a, b]}", "wrong_type", "owner", "one text"),
    (ROW + "owner: 2013-13-45}", "yaml_syntax", None, "quotes"),
    (ROW + 'owner: "a\\0b"}', "unstorable_value", "owner", "plain text"),
    (ROW + "lookback_minutes: 99999999999999999999}", "unstorable_value", "lookback_minutes", "ordinary number"),
    (ROW + "environments: [stage]}", "wrong_type", "environments", "environments: {stage"),
    (ROW + "environments: {stage: 5}}", "wrong_type", "environments", "environments: {stage"),
    (ROW + "environments: {Sta ge: {}}}", "bad_name", "environments", "lower case"),
    (ROW + "environments: {stage: {ownr: x}}}", "unknown_column", "ownr", "Did you mean 'owner'?"),
    (ROW + "environments: {stage: {table: x}}}", "key_override", "table", "another row"),
    (ROW + "environments: {stage: {kind: pond}}}", "unknown_word", "kind", "Use one"),
    ("sources: [{schema: lake, table: t, kind: lak}]", "unknown_word", "kind", "Did you mean 'lake'?"),
    ("sources: [{schema: lake, kind: lake}]", "missing_value", "table", "Write table:"),
    ("sources: [{schema: a, table: b, kind: lake}, {schema: a, table: b, kind: lake}]", "duplicate_row", None, "Keep"),
    (FLIGHTS + "    comments: all well", "framework_column", "comments", "Remove it"),
    (FLIGHTS + "    fingerprint: abc", "framework_column", "fingerprint", "Remove it"),
    (FLIGHTS + "    environments: {stage: {deactivated_by: operator}}", "framework_column", "deactivated_by", "Remove"),
    (
        FLIGHTS.replace("driving: true", "driven: true"),
        "unknown_key",
        "dependencies[0].driven",
        "Did you mean 'driving'?",
    ),
    (FLIGHTS.replace("[tailnum]", "7"), "wrong_type", "business_key", "Write business_key: ["),
    ("sources: [{schema: !!python/object:os.system x, table: t, kind: lake}]", "yaml_tag", None, "tag"),
    ("sources: [{schema: !!binary aGk=, table: t, kind: lake}]", "yaml_tag", None, "tag"),
    ("sources: [{schema: {a: 1}, table: t, kind: lake}]", "wrong_type", "schema", "one text"),
    ("sources: [{? [a] : b}]", "yaml_syntax", None, "name: value"),
    ("sources: &x [*x]", "yaml_recursion", None, "Write the value out"),
    ("sources: []\n---\nsources: []", "yaml_syntax", None, "quote"),
]


@pytest.mark.parametrize(("text", "rule", "column", "remedy"), FAULTS)
def test_a_fault_is_named_with_its_remedy(
    tmp_path: Path, text: str, rule: str, column: str | None, remedy: str
) -> None:
    faults = read_text(tmp_path, text).faults
    found = [fault for fault in faults if fault.rule == rule]
    assert found, faults
    assert found[0].column == column
    assert remedy in found[0].remedy
    assert str(found[0]).startswith("rows.yml:")


def test_a_fault_says_the_line(tmp_path: Path) -> None:
    (fault,) = read_text(tmp_path, "# one\n# two\n" + ROW + "ownr: x}").faults
    assert str(fault).startswith("rows.yml:4: ")
    (fault,) = read_text(tmp_path, "# one\nsources:\n  - [\n").faults
    assert (fault.table, fault.key) == ("rows.yml", "line 4")


def test_every_fault_of_every_file_is_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(ROW + "ownr: x, lookback_minutes: soon, max_skew_minutes: -1}\n")
    (tmp_path / "b.yml").write_text("sources: [{schema: lake, table: t, kind: lake}]\n")
    (tmp_path / "c.yml").write_text("sources: [\n")
    (tmp_path / "d.yml").write_bytes(b"sources: \xff\xfe")
    bundle = read_bundle(bundle_files(tmp_path, tmp_path), "dev", tmp_path)
    rules = sorted(fault.rule for fault in bundle.faults)
    expected = ["duplicate_row", "encoding", "unknown_column", "wrong_type", "wrong_type", "yaml_syntax"]
    assert rules == expected
    (duplicate,) = [fault for fault in bundle.faults if fault.rule == "duplicate_row"]
    assert "a.yml:2" in duplicate.message
    assert duplicate.place == "b.yml:1"


def test_a_row_with_a_fault_is_kept_as_far_as_it_can_stand(tmp_path: Path) -> None:
    bundle = read_text(tmp_path, ROW + "ownr: x, lookback_minutes: soon}\n  - {schema: lake, table: u, kind: pond}")
    assert [row.key for row in bundle.rows.sources] == ["lake.t"]
    assert bundle.unreadable == {RowId("source_control", "lake.u")}


# -- hostile text -----------------------------------------------------------------------------------------------------


def test_a_bomb_of_aliases_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.process_time()
    faults = read_text(tmp_path, "\n".join(lines)).faults
    assert [fault.rule for fault in faults] == ["too_many_values"]
    assert time.process_time() - started < 20


def test_a_bomb_of_merge_keys_is_refused_quickly() -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    with pytest.raises(YamlError, match="too many"):
        parse_yaml("\n".join(lines))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(opening: str) -> None:
    with pytest.raises(YamlError):
        parse_yaml(opening * 50_000)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    faults = read_text(tmp_path, "# " + "x" * 6_000_000).faults
    assert [fault.rule for fault in faults] == ["too_big"]


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    text = """
sources:
  - &common {schema: lake, table: a, kind: lake, owner: data, lookback_minutes: 5}
  - {<<: *common, table: b, lookback_minutes: 7}
"""
    bundle = read_text(tmp_path, text)
    assert bundle.faults == ()
    assert [(row.key, row.owner, row.lookback_minutes) for row in bundle.rows.sources] == [
        ("lake.a", "data", 5),
        ("lake.b", "data", 7),
    ]


def test_ten_thousand_characters_are_shown_in_part(tmp_path: Path) -> None:
    (fault,) = read_text(tmp_path, ROW + f"lookback_minutes: {'x' * 10_000}}}").faults
    assert len(str(fault)) < 1000
    (fault,) = read_text(tmp_path, ROW + f"{'y' * 10_000}: 1}}").faults
    assert len(str(fault)) < 1500


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "outside.yml").write_text("sources: []")
    (tmp_path / "control" / "inside.yml").symlink_to(tmp_path / "outside.yml")
    with pytest.raises(ConfigurationError, match="links to a file outside"):
        bundle_files(tmp_path / "control", tmp_path / "control")


def test_a_folder_that_is_called_like_a_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "odd.yml").mkdir()
    assert bundle_files(tmp_path, tmp_path) == ()


@given(st.text(max_size=300))
def test_any_text_is_rows_or_faults(text: str) -> None:
    with contextlib.suppress(YamlError):
        item = parse_yaml(text)
        assert item is None or item.line >= 1


def test_plain_values_are_what_yaml_says() -> None:
    text = "{a: 1, b: [x, 2.5, null, true], c: {d: 2013-01-01}, e: 0x10, f: 'no'}"
    item = parse_yaml(text)
    assert item is not None
    assert item.plain == yaml.safe_load(text)


# -- export -----------------------------------------------------------------------------------------------------------

words = st.sampled_from(["a", "tailnum", "carrier", "b_2"])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
wholes = st.integers(0, 10_000)


@st.composite
def any_rows(draw: st.DrawFn) -> ControlRows:
    test = st.one_of(
        words, st.dictionaries(words, st.dictionaries(words, st.one_of(texts, wholes, st.none())), max_size=2)
    )
    column = st.fixed_dictionaries(
        {"name": words, "type": texts}, optional={"description": texts, "tests": st.lists(test, max_size=2)}
    )
    dependency = st.fixed_dictionaries(
        {"table": texts, "driving": st.booleans()},
        optional={"incremental_key": texts, "recompute_by": st.lists(words), "lookback_minutes": wholes},
    )
    transformation_values = st.fixed_dictionaries(
        {"load_type": st.sampled_from([*LoadType]).map(str), "sql_path": texts},
        optional={
            "description": texts,
            "business_key": st.lists(words),
            "delete_when": texts,
            "on_tie": st.sampled_from([*OnTie]).map(str),
            "trigger": st.sampled_from([*Trigger]).map(str),
            "dependencies": st.lists(dependency, max_size=3),
            "column_list": st.lists(column, max_size=3),
            "backfill_start": st.one_of(wholes, st.datetimes().map(lambda moment: moment.isoformat())),
            "max_rejects": st.one_of(st.none(), wholes),
            "is_active": st.booleans(),
        },
    )
    pipeline_values = st.fixed_dictionaries(
        {"pipeline_name": texts},
        optional={
            "owner": st.one_of(st.none(), texts),
            "schedule": texts,
            "spark_threshold_gb": st.decimals("0.001", 1000, places=3).map(str),
            "emr_instance_types": st.lists(texts, max_size=2),
        },
    )
    return rows(
        source(owner=draw(st.one_of(st.none(), texts))),
        pipeline(**draw(pipeline_values)),
        transformation(**draw(transformation_values)),
        transformation("dwh.other", **draw(transformation_values)),
    )


@given(any_rows(), st.booleans())
def test_export_then_read_gives_the_rows(
    tmp_path_factory: pytest.TempPathFactory, given_rows: ControlRows, is_declared: bool
) -> None:
    folder = tmp_path_factory.mktemp("export")
    state = ControlState(given_rows, given_rows if is_declared else ControlRows())
    for file in export_rows(state):
        (folder / file.name).write_text(file.text, encoding="utf-8")
    bundle = read_bundle(bundle_files(folder, folder), "dev", folder)
    assert bundle.faults == ()
    assert bundle.rows == given_rows
    plan = make_plan(bundle.rows, state)
    assert plan.outcome == given_rows
    assert plan.conflicts == ()
    assert read_text(folder, export_document(state)).rows == given_rows


def test_export_reads_well() -> None:
    named = transformation(
        dependencies=[{"table": "lake.flights", "driving": True}, {"table": "lake.planes", "driving": False}],
        column_list=[{"name": "tailnum", "type": "varchar(10)", "tests": ["not_null"]}],
        description="Which carrier flew a plane.\nAnd from where.",
    )
    files = {
        file.name: file.text for file in export_rows(ControlState(rows(source(), pipeline(), named), ControlRows()))
    }
    assert list(files) == ["_sources.yml", "flights_hourly.yml"]
    assert (
        files["flights_hourly.yml"]
        == """\
pipelines:
  - pipeline_id: flights_hourly
    pipeline_name: Flights
    template: lake_to_warehouse
transformations:
  - target_schema: dwh
    target_table: dim_aircraft
    pipeline_id: flights_hourly
    sql_path: transformations/dim_aircraft.sql
    description: |-
      Which carrier flew a plane.
      And from where.
    load_type: scd2
    business_key: [tailnum]
    dependencies:
      - {table: lake.flights, driving: true}
      - {table: lake.planes, driving: false}
    column_list:
      - {name: tailnum, type: varchar(10), tests: [not_null]}
"""
    )


def test_export_writes_declared_values_not_the_frameworks_switches(tmp_path: Path) -> None:
    (declared,) = small_rows().transformations
    off = replaced(declared, is_active=False, deactivated_by=DeactivatedBy.FRAMEWORK, comments="no such column")
    written = frozenset({ColumnId(RowId.of(off), "is_active")})
    state = ControlState(rows(source(), pipeline(), off), small_rows(), written)
    text = export_document(state)
    assert "is_active" not in text
    assert "comments" not in text
    bundle = read_text(tmp_path, text)
    assert make_plan(bundle.rows, state).is_empty


def test_export_writes_what_an_operator_set(tmp_path: Path) -> None:
    (declared,) = small_rows().transformations
    state = ControlState(rows(source(), pipeline(), replaced(declared, max_rejects=7)), small_rows())
    bundle = read_text(tmp_path, export_document(state))
    assert bundle.rows.transformations[0].max_rejects == 7
    plan = make_plan(bundle.rows, state)
    assert plan.outcome == state.rows


def test_export_of_nothing_is_nothing() -> None:
    assert export_rows(ControlState(ControlRows(), ControlRows())) == ()
    assert export_document(ControlState(ControlRows(), ControlRows())) == ""
