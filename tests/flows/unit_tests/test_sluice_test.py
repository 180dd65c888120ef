"""`sluice test create` and `sluice test` on DuckDB: what is frozen, what is played, what is told when it differs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from metadata_sync.settings import Settings
from tests.support.history_project import DuckDbFile
from tests.support.unit_test_project import TARGETS, UnitTestProject, junit_cases


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> UnitTestProject:
    """A project in which every target has a test; tests that change a file put it back."""
    root = tmp_path_factory.mktemp("unit") / "project"
    root.mkdir()
    project = UnitTestProject(root, DuckDbFile(root / ".sluice" / "dev.duckdb"), Settings())
    (root / ".sluice").mkdir(exist_ok=True)
    (root / ".sluice" / "mask.key").write_text("5a" * 32)  # by chance another one might spell the masked names again
    project.land()
    project.warehouse.execute(
        "create schema dwh",
        "create table dwh.event_log as select event_id, customer_id, email, landed_at, now() as _sluice_loaded_at "
        "from shop.events",
    )
    project.row("dim_customer")["column_list"] = [
        {"name": "customer_id", "type": "integer"},
        {"name": "email", "type": "varchar", "tags": ["personal"]},
        {"name": "city", "type": "varchar"},
        {"name": "is_gone", "type": "boolean"},
        {"name": "changed_at", "type": "timestamp"},
        {"name": "country_name", "type": "varchar", "tags": ["personal"]},
    ]
    project.write_rows()
    for target in TARGETS:
        code, output = project.sluice("create", target)
        assert code == 0, output
    return project


@pytest.fixture
def kept(project: UnitTestProject) -> Iterator[UnitTestProject]:
    """The project; its test files and SELECTs are put back afterwards."""
    files = [*(project.root / "dbt_project").glob("unit_tests/*"), *(project.root / "dbt_project").glob("transf*/*")]
    before = {path: path.read_text() for path in files}
    yield project
    for path in (project.root / "dbt_project").glob("unit_tests/*"):
        path.unlink()
    for path, text in before.items():
        path.write_text(text)


def test_all_tests_pass_as_they_were_made(project: UnitTestProject) -> None:
    code, found = project.results()
    assert code == 0, found
    assert found["counts"] == {"passed": 2 * len(TARGETS), "failed": 0, "error": 0}
    own = sum(test["seconds"] for test in found["tests"])
    assert own < found["seconds"], "dbt's start is in none of them"


def test_a_history_shows_a_late_event_and_a_delete(project: UnitTestProject) -> None:
    (history,) = project.document("dwh.dim_customer")["histories"]
    notes = [batch["note"] for batch in history["batches"]]
    assert notes == ["first load", "what landed after it", "an older event that lands late", "a delete: is_gone"]
    first, second, late, deleted = history["batches"]
    (event,) = late["rows"]["shop.events"]
    others = [row for batch in (first, second) for row in batch["rows"]["shop.events"]]
    assert event["landed_at"] > max(row["landed_at"] for row in others)
    same_key = [row["changed_at"] for row in others if row["customer_id"] == event["customer_id"]]
    assert min(same_key) < event["changed_at"] < max(same_key)
    (gone,) = deleted["rows"]["shop.events"]
    current = [row["customer_id"] for row in deleted["expect"] if row["is_current"]]
    assert gone["is_gone"]
    assert gone["customer_id"] not in current
    assert gone["customer_id"] in [row["customer_id"] for row in late["expect"] if row["is_current"]]


def test_rows_of_a_lookup_are_those_that_join(project: UnitTestProject) -> None:
    (unit_test,) = project.document("dwh.dim_customer")["unit_tests"]
    given = {item["input"]: item["rows"] for item in unit_test["given"]}
    events, countries = given["source('shop', 'events')"], given["source('shop', 'countries')"]
    assert len(events) <= 20
    assert {row["code"] for row in countries} == {row["country"] for row in events}
    assert len(unit_test["expect"]["rows"]) == len(events), "every frozen row passes the join"


def test_personal_columns_are_masked_in_every_file_and_equal_values_stay_equal(project: UnitTestProject) -> None:
    for target in ("dwh.dim_customer", "dwh.customer_now", "dwh.event_log"):
        text = project.file(target).read_text()
        assert not [word for word in ("Ada.", "ADA.", "example", "EXAMPLE") if word in text], target
    assert "Country it" not in project.file("dwh.country").read_text(), "a tag holds for the source's other readers"
    events = project.document("dwh.dim_customer")["unit_tests"][0]["given"][0]["rows"]
    assert all("@" in row["email"] and "." in row["email"] for row in events), "the form is kept"
    by_customer = {(row["customer_id"], row["email"]) for row in events}
    assert len(by_customer) == len({row["customer_id"] for row in events})
    log = project.document("dwh.event_log")["unit_tests"][0]["given"][0]["rows"]
    assert {row["email"] for row in log} & {row["email"] for row in events}, "files agree"


def test_an_append_shows_a_row_that_lands_twice(project: UnitTestProject) -> None:
    *_, before, last = project.document("dwh.event_log")["histories"][0]["batches"]
    assert last["note"] == "a row that lands a second time"
    assert [row["event_id"] for row in last["expect"]] == [row["event_id"] for row in before["expect"]]


def test_a_source_read_whole_loses_a_row(project: UnitTestProject) -> None:
    *_, before, last = project.document("dwh.country")["histories"][0]["batches"]
    assert len(last["expect"]) == len(before["expect"]) - 1


def test_a_copy_is_tested_like_its_select(kept: UnitTestProject) -> None:
    row = kept.row("country")
    copied = {**row, "target_table": "country_copy", "copy": "shop.countries"}
    del copied["sql_path"]
    kept.rows["transformations"].append(copied)
    kept.write_rows()
    try:
        code, output = kept.sluice("create", "dwh.country_copy")
        assert code == 0, output
        code, found = kept.results("dwh.country_copy")
    finally:
        kept.rows["transformations"].remove(copied)
        kept.write_rows()
    assert (code, found["counts"]) == (0, {"passed": 2, "failed": 0, "error": 0}), found


def test_a_changed_select_fails_with_a_readable_difference(kept: UnitTestProject, tmp_path: Path) -> None:
    select = kept.root / "dbt_project" / "transformations" / "customer_now.sql"
    select.write_text(select.read_text().replace("upper(", "lower("))
    code, output = kept.sluice("dwh.customer_now", "--junit", str(tmp_path / "deep" / "junit.xml"))
    assert code == 1
    assert "✗ dwh.customer_now dwh__customer_now_rows" in output
    assert "✗ dwh.customer_now dwh__customer_now_history" in output
    assert "after batch 1 (first load) the table has other rows than expected:" in output
    assert "~ customer_id=" in output
    assert "email is " in output
    assert "2 failed" in output
    cases = junit_cases(tmp_path / "deep" / "junit.xml")
    assert cases == {"dwh__customer_now_rows": "failure", "dwh__customer_now_history": "failure"}


def test_a_changed_load_fails_where_its_select_passes(kept: UnitTestProject) -> None:
    row = kept.row("dim_customer")
    kept.rows["transformations"] = [
        {**item, "scd_columns": ["country_name"]} if item is row else item for item in kept.rows["transformations"]
    ]
    kept.write_rows()
    try:
        code, found = kept.results("dwh.dim_customer")
    finally:
        kept.rows["transformations"] = [
            row if item["target_table"] == "dim_customer" else item for item in kept.rows["transformations"]
        ]
        kept.write_rows()
    assert code == 1
    assert [test["status"] for test in found["tests"]] == ["passed", "failed"]


def test_an_edited_file_is_kept_and_force_replaces_it(kept: UnitTestProject) -> None:
    path = kept.file("dwh.country")
    assert kept.sluice("create", "dwh.country", "--rows", "4")[0] == 0, "nobody has edited it"
    edited = path.read_text().replace("first load", "the first load")
    path.write_text(edited)
    code, output = kept.sluice("create", "dwh.country")
    assert code == 2
    assert "dbt_project/unit_tests/dwh.country.yml was written or changed by a person" in output
    assert "--force" in output
    assert path.read_text() == edited
    assert kept.sluice("create", "dwh.country", "--force")[0] == 0
    assert path.read_text() != edited


def test_expected_rows_may_name_a_few_columns(kept: UnitTestProject) -> None:
    path = kept.file("dwh.country")
    document = yaml.safe_load(path.read_text())
    for batch in document["histories"][0]["batches"]:
        batch["expect"] = [{"code": row["code"]} for row in batch["expect"]]
    path.write_text(yaml.safe_dump(document))
    assert kept.results("dwh.country")[0] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("histories:", "history:"), "dwh.country.yml: history: there is no such key. Did you mean 'histories'?"),
        (("target: dwh.country", "target: [dwh"), "dwh.country.yml:4 is not YAML"),
        (("target: dwh.country", "target: dwh.contry"), "is about model 'dwh__country'"),
        (("model: dwh__country", "model: country"), "is about model 'country'. Write model: dwh__country"),
        (("input: source('shop', 'countries')", "input: shop.countries"), "neither source('schema', 'table') nor ref("),
        (("batches:", "baches:"), "batches: it is missing"),
    ],
)
def test_a_faulty_file_is_named_with_the_place(kept: UnitTestProject, change: tuple[str, str], said: str) -> None:
    path = kept.file("dwh.country")
    path.write_text(path.read_text().replace(*change))
    code, output = kept.sluice("dwh.country")
    assert code == 2
    assert said in output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kode": "it"}, "A row of shop.countries has a column 'kode', which `columns:` does not list."),
        ({"code": "it", "country_name": "x", "size": 1}, "has a column 'size'"),
    ],
)
def test_a_faulty_row_spoils_its_own_test_only(kept: UnitTestProject, change: dict[str, object], said: str) -> None:
    path = kept.file("dwh.country")
    document = yaml.safe_load(path.read_text())
    document["histories"][0]["batches"][1]["rows"]["shop.countries"].append(change)
    path.write_text(yaml.safe_dump(document))
    code, found = kept.results("dwh.country", "dwh.customer_now")
    assert code == 1
    (faulty,) = [test for test in found["tests"] if test["status"] == "error"]
    assert faulty["name"] == "dwh__country_history"
    assert said in faulty["lines"][0]


def test_an_unknown_target_and_a_target_without_a_test_are_told_apart(kept: UnitTestProject) -> None:
    code, output = kept.sluice("dwh.customer")
    assert code == 2
    assert "There is no target 'dwh.customer'" in output
    code, output = kept.sluice("create", "dwh.customer")
    assert code == 2
    assert "There is no target 'dwh.customer'" in output
    kept.file("dwh.country").unlink()
    code, output = kept.sluice("dwh.country")
    assert code == 2
    assert "sluice test create dwh.country" in output


def test_a_target_without_rows_writes_nothing(kept: UnitTestProject) -> None:
    kept.file("dwh.country").unlink()
    kept.warehouse.execute(
        "alter table shop.countries rename to kept", "create table shop.countries as from shop.kept limit 0"
    )
    try:
        code, output = kept.sluice("create", "dwh.country")
    finally:
        kept.warehouse.execute("drop table shop.countries", "alter table shop.kept rename to countries")
    assert code == 2
    assert "shop.countries has no rows in environment 'dev'" in output
    assert not list(kept.file("dwh.country").parent.glob("*country*"))


def test_a_select_that_depends_on_the_clock_is_refused_and_nothing_is_written(kept: UnitTestProject) -> None:
    kept.file("dwh.event_log").unlink()
    select = kept.root / "dbt_project" / "transformations" / "event_log.sql"
    select.write_text("select e.event_id, random() as chance, e.landed_at from shop.events as e\n")
    assert "calls RANDOM()" in kept.sluice("create", "dwh.event_log")[1]
    kept.row("event_log")["increment_checked"] = True
    kept.write_rows()
    try:
        code, output = kept.sluice("create", "dwh.event_log")
    finally:
        del kept.row("event_log")["increment_checked"]
        kept.write_rows()
    assert code == 2
    assert "does not give the same rows twice" in output
    assert not list(kept.file("dwh.event_log").parent.glob("*event_log*"))
