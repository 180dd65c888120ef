"""`sluice onboard` on files, folders and SELECTs that are not as neat as those of a data set."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml

from flows.onboard.text_options import options_of
from metadata_sync.errors import RequestError
from tests.flows.onboard.conftest import Sluice, proposals

SURE = 0.9


def text(root: Path, name: str, *lines: str) -> None:
    """Write a file below lake/."""
    path = root / "lake" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def numbered(header: str, start: int, values: str, rows: int = 40) -> list[str]:
    return [header, *(f"{start + row},{values.format(row)}" for row in range(rows))]


def written(root: Path) -> dict[str, str]:
    """Return source → location of all control files."""
    documents = [yaml.safe_load(path.read_text()) for path in (root / "dbt_project/control").glob("*.yml")]
    return {row["table"]: row["location"] for document in documents for row in document["sources"]}


def test_files_with_a_new_column_are_landings_of_one_table(root: Path, sluice: Sluice) -> None:
    text(root, "orders/2024-01-01.csv", *numbered("order_id,a", 0, "x{}"))
    text(root, "orders/2024-01-02.csv", *numbered("order_id,a,b", 20, "x{0},y{0}"))
    found = proposals(sluice("onboard", "lake/orders", "--json"))["dwh.orders"]
    assert found["business_key"]["value"] == ["order_id"]
    assert "2 landings" in found["business_key"]["evidence"]
    assert found["load_type"]["value"] == "scd1"


def test_file_that_cannot_be_read_is_left_out_as_by_a_load(root: Path, sluice: Sluice) -> None:
    text(root, "orders/2024-01-01.csv", *numbered("order_id,a", 0, "x{}"))
    (root / "lake/orders/2024-01-02.csv").write_bytes(b"PK\x03\x04 no text")
    found = proposals(sluice("onboard", "lake/orders", "--json"))["dwh.orders"]
    assert found["business_key"]["value"] == ["order_id"]


def test_partitions_are_columns_and_may_cut_windows(root: Path, sluice: Sluice) -> None:
    for day in (1, 2, 3):
        text(root, f"trips/region=eu/day=2024-01-0{day}/x.csv", *numbered("trip_id,fare", 100 * day, "{}"))
    assert sluice("onboard", "lake/trips", "--yes", "--no-trial").exit_code == 0
    assert written(root) == {"lake.trips": "lake/trips/region=*/day=*"}
    assert "incremental_key: day" in (root / "dbt_project/control/onboarded.yml").read_text()


def test_location_of_a_table_names_no_file_of_another(root: Path, sluice: Sluice) -> None:
    for number in (1, 2):
        text(root, f"customer_{number}.csv", *numbered("customer_id,name", 100 * number, "n{}"))
        text(root, f"customer_address_{number}.csv", *numbered("address_id,street", 100 * number, "s{}"))
        text(root, f"2024-01-0{number}_Sales.csv", *numbered("sale_id,amount", 100 * number, "{}"))
    found = sluice("onboard", "lake", "--yes")
    assert found.exit_code == 0, found.output
    assert written(root) == {
        "lake.customer": "lake/customer_[0-9]*.csv",
        "lake.customer_address": "lake/customer_address_[0-9]*.csv",
        "lake.sales": "lake/[0-9]*_Sales.csv",
    }
    assert found.output.count("80 rows, 2 columns") == 3


def test_formats_of_one_name_are_not_one_table(root: Path, sluice: Sluice) -> None:
    text(root, "orders.csv", *numbered("id,a", 0, "x{}"))
    text(root, "orders.ndjson", '{"id": 1, "a": "x"}')
    done = sluice("onboard", "lake", "--yes")
    assert isinstance(done.exception, RequestError)
    assert "would both be called lake.orders" in str(done.exception)


def test_number_of_a_row_in_its_file_is_no_key_because_a_flag_mostly_stays(root: Path, sluice: Sluice) -> None:
    chance = random.Random(2)
    for day in (1, 2, 3):
        lines = [f"{n},S{chance.randrange(10**6)},{chance.random() < 0.9}" for n in range(50)]
        text(root, f"sales/2024-01-0{day}.csv", "id,sku,is_paid", *lines)
    key = proposals(sluice("onboard", "lake/sales", "--json"))["dwh.sales"]["business_key"]
    assert key["value"] != ["id"] or key["confidence"] < SURE
    assert "may number the rows of each file" in key["evidence"]


def test_expression_as_the_key_of_a_snapshot_is_no_column(root: Path, sluice: Sluice) -> None:
    text(root, "orders/1.csv", *numbered("order_id,day", 0, "2024-01-01"))
    assert sluice("onboard", "lake/orders", "--yes", "--no-trial").exit_code == 0
    (root / "snap.sql").write_text(
        "{% snapshot snap %}{{ config(unique_key=\"order_id || '-' || day\", strategy='check', check_cols='all') }}\n"
        "select o.order_id, o.day from {{ source('lake', 'orders') }} as o\n{% endsnapshot %}\n"
    )
    key = proposals(sluice("onboard", "snap.sql", "--json"))["dwh.snap"]["business_key"]
    assert (key["value"], key["confidence"]) == (["order_id"], 0.5)
    assert "which is no column" in key["evidence"]


def test_select_without_a_table_is_refused(root: Path, sluice: Sluice) -> None:
    (root / "one.sql").write_text("select 1 as a")
    done = sluice("onboard", "one.sql")
    assert isinstance(done.exception, RequestError)
    assert "reads no table" in str(done.exception)


def test_one_bad_table_does_not_stop_the_others(root: Path, sluice: Sluice) -> None:
    text(root, "orders/1.csv", *numbered("order_id,a", 0, "x{}"))
    text(root, "latin/1.csv", "id,a")
    (root / "lake/latin/1.csv").write_bytes(b"id,a\n1,Z\x81rich\n")
    text(root, "nothing/1.csv", "id,a")
    done = sluice("onboard", "lake", "--yes")
    assert done.exit_code == 0, done.output
    assert written(root) == {"lake.orders": "lake/orders"}
    assert "Left out: lake/latin: no file of lake/latin can be read" in done.output
    assert "declare the source with format_options" in done.output
    assert "Left out: lake/nothing has no rows" in done.output


def test_rows_with_faults_do_not_take_others_back(root: Path, sluice: Sluice) -> None:
    text(root, "orders/1.csv", *numbered("order_id,a", 0, "x{}"))
    assert sluice("onboard", "lake/orders", "--yes", "--no-trial").exit_code == 0
    (root / "total.sql").write_text("select count(*) as n from lake.orders as o")
    (root / "fine.sql").write_text("select o.order_id from lake.orders as o")
    done = sluice("onboard", "total.sql", "fine.sql", "--yes", "--no-trial", "--pipeline", "reports")
    assert done.exit_code == 0, done.output
    assert "Left out: dwh.total: its rows have faults" in done.output
    assert sorted(path.name for path in (root / "dbt_project/transformations").glob("*.sql")) == [
        "dim_customer.sql",
        "fine.sql",
    ]


def test_columns_and_delimiter_of_an_export_are_loaded_under_usable_names(root: Path, sluice: Sluice) -> None:
    rows = [f'{n // 3};{n % 3};"a; {n}";{n}' for n in range(60)]
    text(root, "Order Details 2024.csv", "\ufeffOrder ID;Line No;Note (free);_sluice_loaded_at", *rows)
    assert sluice("onboard", "lake/Order Details 2024.csv", "--yes").exit_code == 0
    assert sluice("control", "apply", "--yes").exit_code == 0
    assert sluice("run").exit_code == 0
    with duckdb.connect(str(root / ".sluice/dev.duckdb")) as connection:
        columns = "order_id, line_no, note_free, sluice_loaded_at"
        found = connection.execute(f"select {columns} from dwh.order_details order by 1, 2").fetchall()
    assert found == [(n // 3, n % 3, f"a; {n}", n) for n in range(60)]


def test_export_of_another_country_is_loaded_with_its_values(root: Path, sluice: Sluice) -> None:
    rows = [f"{n};Jos\xe9 {n};{n},5;{n + 10}.03.2024;{n + 10}.03.2024 08:0{n}" for n in range(1, 10)]
    path = root / "lake" / "sales" / "1.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes("\n".join(["sale_id;name;amount;sold_on;updated_at", *rows, ""]).encode("cp1252"))
    careful = sluice("onboard", "lake/sales", "--yes-above", "0.9")
    assert careful.exit_code == 2, "an encoding is guessed"
    assert "as Western Windows wrote it, it says 'Jos\xe9': look at it" in careful.output
    assert sluice("onboard", "lake/sales", "--yes").exit_code == 0
    declared = yaml.safe_load((root / "dbt_project/control/onboarded.yml").read_text())["sources"][0]
    assert declared["format_options"] == {
        "delimiter": ";",
        "encoding": "cp1252",
        "decimal": ",",
        "date_format": "%d.%m.%Y",
        "timestamp_format": "%d.%m.%Y %H:%M",
    }
    assert sluice("control", "apply", "--yes").exit_code == 0
    assert sluice("run").exit_code == 0
    with duckdb.connect(str(root / ".sluice/dev.duckdb")) as connection:
        query = "select sale_id, name, amount, sold_on::varchar, updated_at::varchar from dwh.sales order by 1 limit 1"
        found = connection.execute(query).fetchall()
    assert found == [(1, "Jos\xe9 1", Decimal("1.5"), "2024-03-11", "2024-03-11 08:01:00")]


@pytest.mark.parametrize(
    ("text_", "options"),
    [
        (b"id,v\n1,2\n", None),
        ("id\tv\n1\t2\n".encode("utf-16"), {"delimiter": "\t", "encoding": "utf-16"}),
        (b"id;v\n1;1,5\n2;1.5\n", {"delimiter": ";"}),  # both signs in one column: text
        (b"id;v;w\n1;1,5;1.5\n", {"delimiter": ";"}),  # one sign cannot be right for both columns
        (b'id,v\n1,"1,5"\n', None),  # a list, or a number: nobody knows
        (b"id;v\n1;1.234,5\n", {"delimiter": ";"}),
        (b"id,d\n1,01/02/2024\n", None),  # January or February
        (b"id,d\n1,01/13/2024\n2,02/01/2024\n", {"date_format": "%m/%d/%Y"}),
        (b"id,d\n1,13-01-2024\n2,01-12-2024\n", {"date_format": "%d-%m-%Y"}),
        (b"id,d\n1,13/01/2024\n2,01/13/2024\n", None),
        (b"id,d,e\n1,13/01/2024,2024-01-01\n", None),  # one form would lose the other column
        (b"id,d,e\n1,13/01/2024,01/13/2024\n", None),
        (b"id,d\n1,13.01.2024 10:00:59\n", {"timestamp_format": "%d.%m.%Y %H:%M:%S"}),
        (b"id,d\n1,13.01.2024\n2,soon\n", None),
        (b"id,name\n1,\xe9\n", {"encoding": "cp1252"}),
        (b"id,name\n1,\x81\xe9\n", None),  # no text of Western Windows: the load tells of it
        (b"id,name\n1,\xe9\x00\n", None),
        (b"\xef\xbb\xbfid;n\n1;x\n", {"delimiter": ";"}),
        (b"id,name\n1,\xc3", None),  # cut off within a letter by the limit of what is looked at
        (b"", None),
    ],
)
def test_options_are_named_where_nothing_else_is_possible(text_: bytes, options: dict[str, str] | None) -> None:
    found = options_of(text_)
    assert (None if found is None else found.model_dump(exclude_defaults=True)) == options


def test_text_without_a_header_loses_no_record(root: Path, sluice: Sluice) -> None:
    text(root, "lines/1.csv", *(f"{n},n{n},2024-01-0{n}" for n in range(1, 9)))
    done = sluice("onboard", "lake/lines", "--yes")
    assert "the first record is no header" in str(done.exception)
    declared = "{table: lake.lines, format: csv, location: lake/lines, format_options: {header: false}, columns: "
    path = root / "dbt_project/control/lines.yml"
    path.write_text(f"sources:\n  - {declared}{{line_id: bigint, name: varchar, day: date}}}}\n")
    found = sluice("onboard", "lake.lines", "--yes")
    assert found.exit_code == 0, found.output
    assert "8 rows, 3 columns" in found.output
    assert path.read_text().count("lake.lines") == 1


def test_newest_of_daily_extracts_wins(root: Path, sluice: Sluice) -> None:
    for day in (1, 2, 3):
        lines = [f"{n},N{n},{(n + day) % 3}" for n in range(1, 41)]
        text(root, f"customers/2024-01-0{day}.csv", "customer_id,name,tier", *lines)
    assert sluice("onboard", "lake/customers", "--yes").exit_code == 0
    assert sluice("control", "apply", "--yes").exit_code == 0
    assert "tied" not in sluice("run").output
    with duckdb.connect(str(root / ".sluice/dev.duckdb")) as connection:
        found = connection.execute("select customer_id, tier from dwh.customers order by 1").fetchall()
    assert found == [(n, n % 3) for n in range(1, 41)]


def test_rows_without_key_and_time_are_known_by_their_files(root: Path, sluice: Sluice) -> None:
    text(root, "logs/1.csv", "a,b", *(f"{n % 5},{n % 2}" for n in range(40)))
    assert sluice("onboard", "lake/logs", "--yes").exit_code == 0
    assert sluice("control", "apply", "--yes").exit_code == 0
    assert "40 inserted" in sluice("run").output
    text(root, "logs/1.csv", "a,b", *(f"{n % 5},{n % 2}" for n in range(30)))
    assert sluice("run").exit_code == 0
    with duckdb.connect(str(root / ".sluice/dev.duckdb")) as connection:
        assert connection.execute("select count(*) from dwh.logs").fetchall() == [(30,)]


def test_select_over_a_target_needs_its_table(root: Path, sluice: Sluice) -> None:
    text(root, "orders/1.csv", *numbered("order_id,a", 0, "x{}"))
    assert sluice("onboard", "lake/orders", "--yes", "--no-trial").exit_code == 0
    (root / "over.sql").write_text("select * from {{ ref('orders') }}")
    assert "dwh.orders was never loaded" in str(sluice("onboard", "over.sql").exception)
    assert sluice("control", "apply", "--yes").exit_code == 0
    assert sluice("run").exit_code == 0
    found = proposals(sluice("onboard", "over.sql", "--json"))["dwh.over"]
    assert found["dependencies"]["value"] == [{"table": "dwh.orders", "driving": True}]
    (root / "other.sql").write_text("select * from {{ ref('stg_x') }}")
    assert "refers to the model stg_x" in str(sluice("onboard", "other.sql").exception)


def test_a_time_of_day_and_a_time_inside_a_struct_cut_no_windows(root: Path, sluice: Sluice) -> None:
    columns = "i as shop_id, time '10:00' + to_minutes(i) as opens, {'date': current_date + i::int} as doc"
    (root / "lake/shops").mkdir(parents=True)
    duckdb.sql(f"copy (select {columns} from range(30) as t(i)) to '{root}/lake/shops/1.parquet'")
    assert sluice("onboard", "lake/shops", "--yes").exit_code == 0
    assert "incremental_key" not in (root / "dbt_project/control/onboarded.yml").read_text()


def test_text_whose_sample_is_mostly_rejected_is_left_out(root: Path, sluice: Sluice) -> None:
    text(root, "orders/1.csv", *numbered("order_id,a", 0, "x{}"))
    text(root, "exports/1.csv", "# exported by x", "# on Monday", *numbered("order_id,a", 0, "{}"))
    done = sluice("onboard", "lake", "--yes")
    assert done.exit_code == 0, done.output
    assert "Left out: dwh.exports: A load of a sample rejected 41 of 42 rows of dwh.exports" in done.output
    assert written(root) == {"lake.orders": "lake/orders"}


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("Order ID,My Value", "{key},{value}"),  # names that no target may have: a SELECT renames
        ("Order ID,My Value,Sold On", "{key},{value},2024-0{back}-01 10:00:00"),  # an event that goes back for a key
        ("order_id,value,sold_on", "{key},{value},2024-0{back}-01 10:00:00"),
        ("Order ID,My Value,updated_at", "{key},{value},2024-01-0{landing} 10:00:00"),
        ("order_id,value,Updated At", "{key},{value},2024-01-0{landing} 10:00:00"),
        ("Group No,My Value,Sold On", "{few},same,2024-0{back}-01 10:00:00"),  # no key at all
        ("group_no,value,sold_on", "{few},same,2024-0{back}-01 10:00:00"),
    ],
)
def test_what_is_proposed_is_valid_and_loads_what_came_last(root: Path, sluice: Sluice, header: str, rows: str) -> None:
    for landing in (1, 2, 3):
        values = (
            rows.format(key=20 * landing + n, value=f"v{landing}", back=9 - landing, landing=landing, few=n % 4)
            for n in range(40)
        )
        text(root, f"odd/2024-01-0{landing}.csv", header, *values)
    done = sluice("onboard", "lake/odd", "--yes")
    assert done.exit_code == 0, done.output
    assert sluice("control", "apply", "--yes").exit_code == 0
    assert sluice("run").exit_code == 0
    with duckdb.connect(str(root / ".sluice/dev.duckdb")) as connection:
        key, value, *_ = (name for name, *_ in connection.sql("describe dwh.odd").fetchall())
        found = connection.sql(f"select {key}, {value} from dwh.odd order by 1").fetchall()
    if "{few}" in rows:
        assert found == [(n, "same") for n in range(4) for _ in range(30)]
    else:
        assert found == [(n, f"v{min(n // 20, 3)}") for n in range(20, 100)]
