"""`sluice onboard`: right keys for known tables, nothing sure that is wrong, and rows that load what was offered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from flows.onboard.model import Choice, Facts, Offer, Proposal
from flows.onboard.trial.cost import forecast
from flows.onboard.trial.trial import Tried
from metadata_sync.errors import MetadataError
from metadata_sync.rows.names import TableName
from tests.flows.onboard.conftest import Sluice, proposals
from tests.flows.onboard.corpus import CORPUS, Known

RIGHT_AT_FIRST = 0.9
ORDERED_AT = "timestamp '2024-01-01' + interval (i) hour"
SURE = 0.9


def land(root: Path, known: Known) -> None:
    """Write the landings of a table as Parquet files of one folder."""
    folder = root / "lake" / known.name
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        for number in range(known.landings):
            select = known.select.replace("{n}", str(known.rows)).replace("{k}", str(number))
            path = folder / f"2024-01-{number + 1:02}.parquet"
            connection.execute(f"copy (select {select} from range({known.rows}) as t(i)) to '{path}' (format parquet)")


def write(root: Path, table: str, select: str, name: str = "part-0.parquet") -> None:
    folder = root / "lake" / table
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"copy ({select}) to '{folder / name}'")


def lowered(names: Any) -> tuple[str, ...]:
    return tuple(sorted(name.lower() for name in names or ()))


def test_known_tables_get_their_keys_and_nothing_sure_is_wrong(root: Path, sluice: Sluice) -> None:
    for known in CORPUS:
        land(root, known)
    found = proposals(sluice("onboard", "lake", "--json"))
    wrong: dict[str, list[str]] = {"business_key": [], "incremental_key": [], "load_type": []}
    sure_and_wrong: list[str] = []
    for known in CORPUS:
        choices = found[f"dwh.{known.name}"]
        cut = choices.get("incremental_key", {"value": None})
        right_keys = {lowered(known.key), *(lowered(other) for other in known.other_keys)}
        is_right = {
            "business_key": lowered(choices["business_key"]["value"]) in right_keys,
            "incremental_key": lowered([cut["value"] or "-"]) == lowered([known.incremental or "-"]),
            "load_type": choices["load_type"]["value"] in known.load_types,
        }
        for setting in (name for name, right in is_right.items() if not right):
            choice = choices.get(setting, {"value": None, "confidence": 0})
            wrong[setting].append(f"{known.name}: {choice['value']}, {choice['confidence']}")
            sure_and_wrong += [f"{known.name}.{setting}"] if choice["confidence"] >= SURE else []
    assert sure_and_wrong == []
    assert len(CORPUS) >= 30
    for missed in wrong.values():
        assert len(missed) <= (1 - RIGHT_AT_FIRST) * len(CORPUS), wrong


def test_number_of_a_row_in_its_file_is_no_sure_key(root: Path, sluice: Sluice) -> None:
    for day in range(3):
        select = (
            f"select i as id, 'n' || (i * 7 + {day} * 1000) as note, i * {day + 3} as amount from range(50) as t(i)"
        )
        write(root, "bookings", select, f"2024-01-0{day + 1}.parquet")
    key = proposals(sluice("onboard", "lake/bookings", "--json"))["dwh.bookings"]["business_key"]
    assert key["confidence"] < SURE
    assert "may number the rows of each file" in key["evidence"]


def test_key_that_is_unique_only_among_the_first_rows_is_not_proposed(root: Path, sluice: Sluice) -> None:
    columns = "case when i < 30000 then i else 7 end as ticket_id, i // 2 as a_id, i % 2 as b_id"
    write(root, "tickets", f"select {columns} from range(40000) as t(i)")
    choices = proposals(sluice("onboard", "lake/tickets", "--json"))["dwh.tickets"]
    assert sorted(choices["business_key"]["value"]) == ["a_id", "b_id"]


@pytest.mark.parametrize(
    ("select", "key"),
    [
        ("select i as id, nullif(i, 3) as code_id from range(90) as t(i)", ["id"]),  # a key is never NULL
        ("select i * 1.5::double as ratio, i % 9 as a_id, i // 9 as b_id from range(90) as t(i)", ["a_id", "b_id"]),
        ("select i % 3 as x, 'same' as y from range(90) as t(i)", None),
        ('select i as "Order ID", i % 4 as "select" from range(60) as t(i)', ["order_id"]),
        ("select {'a': i} as doc, [i] as tags, i as doc_key from range(60) as t(i)", ["doc_key"]),
    ],
)
def test_keys_of_odd_tables(root: Path, sluice: Sluice, select: str, key: list[str] | None) -> None:
    write(root, "odd", select)
    result = sluice("onboard", "lake/odd", "--json")
    assert proposals(result)["dwh.odd"]["business_key"]["value"] == key, result.output


def test_hundred_files_are_loaded_as_they_are(root: Path, sluice: Sluice) -> None:
    """What is written is accepted by `control apply` and loads the tables as they were offered."""
    for known in CORPUS[:12]:
        land(root, known)
    done = sluice("onboard", "lake", "--yes", "--pipeline", "shop")
    assert done.exit_code == 0, done.output
    assert "wrote dbt_project/control/shop.yml" in done.output
    assert f"tried dwh.customers: {CORPUS[0].rows} rows of a sample" in done.output
    assert list((root / ".sluice").glob("place-*")) == []
    rows = yaml.safe_load((root / "dbt_project/control/shop.yml").read_text())
    assert len(rows["sources"]) == len(rows["pipelines"][0]["transformations"]) == 12
    assert sluice("control", "apply", "--yes").exit_code == 0
    run = sluice("run")
    assert "12 loaded" in run.output, run.output
    with duckdb.connect(str(root / ".sluice/dev.duckdb"), read_only=True) as warehouse:
        for known in CORPUS[:12]:
            ours = f"select columns(* exclude (_sluice_run_id)) from dwh.{known.name}"
            names = ", ".join(
                name for (name, *_) in warehouse.sql(f"describe {ours}").fetchall() if "_sluice" not in name
            )
            theirs = f"select {names} from read_parquet('{root}/lake/{known.name}/*')"
            assert warehouse.sql(f"(select {names} from dwh.{known.name}) except all ({theirs})").fetchall() == []
            assert warehouse.sql(f"({theirs}) except all (select {names} from dwh.{known.name})").fetchall() == []
    again = sluice("onboard", "lake", "--yes", "--pipeline", "shop")
    assert "is declared at dbt_project/control/shop.yml" in str(again.exception)


def test_only_what_is_sure_is_taken_and_the_rest_is_named(root: Path, sluice: Sluice) -> None:
    write(root, "customers", "select i as customer_id, 'n' || i as name from range(300) as t(i)")
    write(root, "remarks", "select 'same' as body from range(300) as t(i)")
    done = sluice("onboard", "lake", "--yes-above", "0.6")
    assert "Left out: dwh.remarks: load_type" in done.output
    rows = yaml.safe_load((root / "dbt_project/control/onboarded.yml").read_text())
    assert [row["table"] for row in rows["sources"]] == ["lake.customers"]
    nothing = sluice("onboard", "lake/remarks", "--yes-above", "0.9")
    assert nothing.exit_code == 2


def test_without_a_terminal_nothing_is_written_unasked(root: Path, sluice: Sluice) -> None:
    write(root, "customers", "select i as customer_id from range(30) as t(i)")
    done = sluice("onboard", "lake/customers")
    assert done.exit_code == 2
    assert "Pass --yes" in done.output
    assert list((root / "dbt_project/control").glob("*.yml")) == []


def test_rows_with_faults_are_taken_back(root: Path, sluice: Sluice) -> None:
    write(root, "odd", "select i as id from range(30) as t(i)")
    assert sluice("onboard", "lake/odd", "--yes", "--no-trial").exit_code == 0
    (root / "total.sql").write_text("select count(*) as n from lake.odd as o")
    done = sluice("onboard", "total.sql", "--yes")
    assert isinstance(done.exception, MetadataError)
    assert "taken back" in done.output
    assert [path.name for path in (root / "dbt_project/control").glob("*.yml")] == ["onboarded.yml"]


def test_select_that_the_warehouse_refuses_is_refused_with_its_words(root: Path, sluice: Sluice) -> None:
    write(root, "odd", "select i as id, i as big from range(30) as t(i)")
    assert sluice("onboard", "lake/odd", "--yes", "--no-trial").exit_code == 0
    (root / "ratio.sql").write_text("select odd.id, cast('x' || odd.big as integer) as ratio from lake.odd\n")
    done = sluice("onboard", "ratio.sql", "--yes", "--schema", "mart")
    assert "Could not convert string 'x0'" in str(done.exception)
    assert not (root / "dbt_project/transformations/ratio.sql").exists()


def test_select_gets_its_dependencies_and_loads(root: Path, sluice: Sluice) -> None:
    write(
        root,
        "orders",
        f"select i as order_id, i % 5 as customer_id, {ORDERED_AT} as updated_at from range(60) as t(i)",
    )
    write(root, "customers", "select i as customer_id, 'n' || i as name from range(5) as t(i)")
    assert sluice("onboard", "lake", "--yes").exit_code == 0
    path = root / "fact_order.sql"
    path.write_text(
        "with o as (select * from lake.orders)\n"
        "select o.order_id, o.updated_at, c.name from o\n"
        "left join lake.customers as c on c.customer_id = o.customer_id\n"
    )
    result = sluice("onboard", "fact_order.sql", "--json", "--yes")
    choices = proposals(result)["dwh.fact_order"]
    assert choices["dependencies"]["value"] == [
        {"table": "lake.orders", "driving": True},
        {"table": "lake.customers", "driving": False},
    ]
    assert (choices["business_key"]["value"], choices["sequence_by"]["value"]) == (["order_id"], ["updated_at"])
    assert (root / "dbt_project/transformations/fact_order.sql").read_text() == path.read_text()
    assert sluice("control", "apply", "--yes").exit_code == 0
    assert "3 loaded" in sluice("run").output


def test_table_of_the_warehouse_is_tried_on_a_copy_and_its_cost_is_told(root: Path, sluice: Sluice) -> None:
    (root / ".sluice").mkdir(exist_ok=True)
    file = root / ".sluice" / "dev.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema raw")
        connection.execute(
            f"create table raw.orders as select i as order_id, i % 5 as v, {ORDERED_AT} as updated_at "
            "from range(30000) as t(i)"
        )
    told = sluice("onboard", "raw.orders", "--yes")
    assert told.exit_code == 0, told.output
    assert "tried dwh.orders: 10,000 rows of a sample" in told.output
    assert "its first load 30,000 rows" in told.output
    assert "a later one not known: its data are one landing" in told.output
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute("select distinct schema_name from duckdb_tables()").fetchall() == [("raw",)]


def test_onboarded_tables_get_tests_that_pass(root: Path, sluice: Sluice) -> None:
    write(root, "orders", f"select i as order_id, i % 5 as v, {ORDERED_AT} as updated_at from range(60) as t(i)")
    (root / "dbt_project/unit_tests/dwh.dim_customer.yml").unlink()  # of the example that this project lacks
    told = sluice("onboard", "lake/orders", "--yes", "--no-trial", "--with-tests")
    assert told.exit_code == 0, told.output
    assert "wrote dbt_project/unit_tests/dwh.orders.yml" in told.output
    assert "2 passed" in sluice("test").output


def test_setting_of_the_file_moves_the_trial_elsewhere(
    root: Path, sluice: Sluice, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "orders", f"select i as order_id, {ORDERED_AT} as updated_at from range(60) as t(i)")
    monkeypatch.setenv("SLUICE_DUCKDB_PATH", str(root / "team.duckdb"))
    told = sluice("onboard", "lake/orders", "--yes")
    assert told.exit_code == 0, told.output
    assert "tried dwh.orders" in told.output
    assert not (root / "team.duckdb").exists(), "a trial loads into no table of the project"


@pytest.mark.parametrize(
    ("landings", "increment", "later"), [((60, 30, 30), "rows", 40), ((120,), "rows", None), ((120,), "full", 120)]
)
def test_forecast_grows_with_the_rows(landings: tuple[int, ...], increment: str, later: int | None) -> None:
    offer = Offer(TableName("lake", "orders"), "lake/orders", None, "t", (), "duckdb", lambda _: ())
    choices = (Choice("increment", increment, 1.0, ""),)
    proposal = Proposal(offer, TableName("dwh", "orders"), Facts((), 120, 120, landings), choices)
    found = forecast(proposal, Tried("dwh.orders", 60, 0, 2.0, None), usd_per_hour=3.6)
    assert (found.first.rows, found.first.seconds, found.first.usd) == (120, 4.0, pytest.approx(0.004))
    assert (found.later.rows if found.later else None) == later
    if later == 40:
        assert found.later is not None
        assert found.later.seconds == 2.0, "a load of fewer rows is not said to be quicker than the trial"


def test_select_over_a_target_knows_its_columns(root: Path, sluice: Sluice) -> None:
    write(root, "orders", f"select i as order_id, i % 3 as shop_id, {ORDERED_AT} as updated_at from range(60) as t(i)")
    assert sluice("onboard", "lake/orders", "--yes", "--no-trial").exit_code == 0
    assert sluice("control", "apply", "--yes").exit_code == 0
    assert "1 loaded" in sluice("run").output
    (root / "shop_total.sql").write_text(
        "select o.shop_id, count(*) as orders from dwh.orders as o group by o.shop_id\n"
    )
    result = sluice("onboard", "shop_total.sql", "--schema", "mart", "--json")
    choices = proposals(result)["mart.shop_total"]
    assert choices["business_key"]["value"] == ["shop_id"]
    assert choices["dependencies"]["value"] == [{"table": "dwh.orders", "driving": True}]
    assert (choices["increment"]["value"], choices["increment"]["others"]) == ("full", ["groups"])
    assert sluice("onboard", "shop_total.sql", "--schema", "mart", "--yes").exit_code == 0
    assert sluice("control", "apply", "--yes").exit_code == 0
    assert "mart.shop_total loaded" in sluice("run").output


def test_dbt_snapshot_says_its_key_and_order(root: Path, sluice: Sluice) -> None:
    write(root, "orders", "select i as id, i as other_id, timestamp '2024-01-01' as changed from range(60) as t(i)")
    assert sluice("onboard", "lake/orders", "--yes").exit_code == 0
    (root / "orders_snapshot.sql").write_text(
        "{% snapshot orders_snapshot %}\n{{ config(target_schema='s', unique_key='other_id', strategy='timestamp', "
        "updated_at='changed') }}\nselect orders.id, orders.other_id, orders.changed\n"
        "from {{ source('lake', 'orders') }}\n"
        "{% endsnapshot %}\n"
    )
    choices = proposals(sluice("onboard", "orders_snapshot.sql", "--json"))["dwh.orders_snapshot"]
    told = {name: choices[name]["value"] for name in ("load_type", "business_key", "sequence_by")}
    assert told == {"load_type": "scd2", "business_key": ["other_id"], "sequence_by": ["changed"]}
    assert choices["load_type"]["evidence"] == "orders_snapshot.sql says so"


BAD = [
    (("lake/nothing",), "There is no file, folder or table lake/nothing"),
    (("raw.nothing",), "raw.nothing does not exist in the warehouse"),
    (("/etc",), "is outside the project"),
    (("nothing.sql",), "There is no file nothing.sql"),
    (("lake/empty",), "holds no Parquet, CSV or JSON files"),
    (("lake/notes.txt",), "is not known by its name"),
    (("two.sql",), "two.sql"),
    (("unknown.sql",), "reads lake.unknown, which is neither a source nor a target"),
    (("jinja.sql",), "holds Jinja that only dbt can evaluate"),
    (("lake/customers", "lake/customers/"), "would both be called lake.customers"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_what_cannot_be_offered_is_refused_and_changes_nothing(
    root: Path, sluice: Sluice, arguments: tuple[str, ...], message: str
) -> None:
    write(root, "customers", "select 1 as customer_id")
    (root / "lake" / "empty").mkdir()
    (root / "lake" / "notes.txt").write_text("x")
    (root / "two.sql").write_text("select 1 as a; select 2 as b")
    (root / "unknown.sql").write_text("select u.id from lake.unknown as u")
    (root / "jinja.sql").write_text("select 1 as id {% if x %} , 2 as y {% endif %}")
    done = sluice("onboard", *arguments, "--yes")
    assert done.exit_code != 0
    assert message in " ".join(str(done.exception).split()) + " ".join(done.output.split())
    assert list((root / "dbt_project/control").glob("*.yml")) == []
