"""The control database: rows in and out, audit, journals; each test on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import create_engine, event, insert, inspect, select, text

from metadata_sync.database import ControlStore, DecisionEntry, LoadEntry, LoadStatus, Via
from metadata_sync.database.engine import database_now, open_engine, parse_url
from metadata_sync.database.journals.entries import LatestLoads
from metadata_sync.database.tables import run_log
from metadata_sync.errors import MetadataError, StoreError
from metadata_sync.loads import ClusterCost, RowCounts, Window
from metadata_sync.rows.merge import ColumnId, ControlState, RowChange, RowId, all_rows, make_plan, replaced
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.vocabulary import DeactivatedBy
from tests.support.control_support import pipeline, rows, small_rows, source, transformation

RICH = rows(
    source("lake.flights", freshness_minutes=120, owner="Zoë — données", lookback_minutes=5),
    source("erp.orders", kind="warehouse", format=None, location=None, probe="select max(version) from erp.changes"),
    pipeline(
        spark_threshold_gb="0.1234567890123456789",
        emr_instance_types=["r5.4xlarge", "r5.8xlarge"],
        emr_core_min=2,
        emr_core_max=8,
        schedule="*/5 * * * *",
        timezone="Asia/Jakarta",
        is_active=False,
    ),
    transformation(
        backfill_start="2013-01-01T00:00:00+00:00",
        column_list=[
            {"name": "tailnum", "type": "varchar(10)", "tests": ["unique", {"accepted_values": {"z": 1, "a": 2}}]}
        ],
        sequence_by=["departed_at", "lsn"],
        delete_when="op = 'D' -- '; drop table x",
        max_rejects=0,
    ),
    transformation("dwh.fact", load_type="append", business_key=[], backfill_start=42),
)


def insert_rows(store: ControlStore, given: ControlRows, via: str = Via.APPLY) -> None:
    store.write([RowChange(before=None, after=row, declared=row) for row in all_rows(given)], "ada", via, "first")


def run_sql(store: ControlStore, statement: str) -> None:
    with store._engine.begin() as connection:
        connection.execute(text(statement))


def test_rows_come_back_typed_and_equal(store: ControlStore) -> None:
    insert_rows(store, RICH)
    assert store.read_rows() == RICH
    (row,) = store.read_rows().pipelines
    assert row.spark_threshold_gb == Decimal("0.1234567890123456789")


def test_many_rows_take_as_many_statements_as_few(store: ControlStore) -> None:
    """Added, changed, adopted and removed rows at once; a stale one among them stops all."""

    def statements(names: list[str]) -> int:
        fresh = [transformation(f"dwh.{name}") for name in names]
        moved = [RowChange(row, replaced(row, max_rejects=place % 3)) for place, row in enumerate(fresh[::3])]
        gone = [RowChange(row, None) for row in fresh[1::3]]
        adopted = [RowChange(row, row, declared=row) for row in fresh[2::3]]
        counted: list[str] = []
        store.write([RowChange(None, row) for row in fresh], "ada", Via.APPLY, None)
        event.listen(store._engine, "before_cursor_execute", lambda *args: counted.append(args[2]))
        store.write([*gone, *moved, *adopted], "ada", Via.APPLY, None)
        found = {row.name: row for row in store.read_rows().transformations}
        assert all(found[change.after.name] == change.after for change in (*moved, *adopted) if change.after)
        assert not any(change.before.name in found for change in gone if change.before)
        assert {row.name for row in store.declared().transformations} >= {
            row.after.name for row in adopted if row.after
        }
        with pytest.raises(StoreError, match="changed by somebody else"):
            store.write([*(RowChange(item.after, None) for item in adopted), gone[-1]], "ada", Via.APPLY, None)
        assert found == {row.name: row for row in store.read_rows().transformations}
        return len(counted)

    insert_rows(store, rows(pipeline()))
    few = statements([f"few_{number}" for number in range(9)])
    assert statements([f"many_{number}" for number in range(300)]) == few


def test_environments_do_not_see_each_other(store_url: str, store: ControlStore) -> None:
    insert_rows(store, RICH)
    with ControlStore.open(store_url, "stage") as stage:
        assert stage.read_rows() == ControlRows()
        insert_rows(stage, small_rows())
        assert stage.read_rows() == small_rows()
        assert len(stage.history()) < len(store.history(limit=1000))
    assert store.read_rows() == RICH


def test_audit_holds_one_entry_per_changed_column(store: ControlStore) -> None:
    insert_rows(store, small_rows())
    (before,) = store.read_rows().transformations
    after = replaced(before, max_rejects=3, scd_columns=("carrier",))
    change_id = store.write([RowChange(before, after)], "bob", Via.SET, "peak season")
    entries = store.history("dwh.dim_aircraft", limit=2)
    assert [(entry.column, entry.old, entry.new) for entry in entries] == [
        ("scd_columns", [], ["carrier"]),
        ("max_rejects", None, 3),
    ]
    assert {(entry.who, entry.via, entry.reason, entry.change_id) for entry in entries} == {
        ("bob", "set", "peak season", change_id)
    }
    assert abs(datetime.now(tz=UTC) - entries[0].changed_at) < timedelta(minutes=5)
    added = {entry.column: entry.new for entry in store.history("dwh.dim_aircraft", limit=100) if entry.via == "apply"}
    assert added["business_key"] == ["tailnum"]
    assert added["max_vanish_percent"] == 20


def test_audit_replayed_gives_the_rows(store: ControlStore) -> None:
    insert_rows(store, RICH)
    (before,) = store.read_rows().pipelines
    store.write([RowChange(before, replaced(before, is_active=True, owner="x"))], "bob", Via.SET, None)
    replayed: dict[tuple[str, str], dict[str, object]] = {}
    for entry in sorted(store.history(limit=10_000), key=lambda entry: entry.change_id):
        replayed.setdefault((entry.table, entry.key), {})[entry.column] = entry.new
    for row in all_rows(store.read_rows()):
        held = {name: value for name, value in row.model_dump(mode="json", by_alias=True).items() if value is not None}
        assert {
            name: value for name, value in replayed[row.control_table, row.key].items() if value is not None
        } == held


def test_secrets_never_reach_the_audit(store: ControlStore) -> None:
    insert_rows(store, small_rows())
    (before,) = store.read_rows().transformations
    failed = replaced(before, comments="could not connect to postgresql://etl:hunter2@db/x password='s3 cr3t'")
    store.write([RowChange(before, failed)], "sluice", Via.FRAMEWORK, "token=abcdef went bad")
    recorded = str(store.history(limit=100))
    assert "hunter2" not in recorded
    assert "cr3t" not in recorded
    assert "abcdef" not in recorded
    assert "etl:***@db" in recorded


def test_removal_is_audited_with_what_was_lost(store: ControlStore) -> None:
    insert_rows(store, small_rows())
    (before,) = store.read_rows().transformations
    store.write([RowChange(before, None)], "bob", Via.APPLY, None)
    assert store.read_rows().transformations == ()
    entries = [entry for entry in store.history("dwh.dim_aircraft", limit=1000) if entry.old is not None]
    lost = {entry.column: (entry.old, entry.new) for entry in entries}
    assert lost["sql_path"] == ("transformations/dim_aircraft.sql", None)


def test_write_refuses_when_the_row_changed_meanwhile(store: ControlStore) -> None:
    insert_rows(store, small_rows())
    (before,) = store.read_rows().transformations
    store.write([RowChange(before, replaced(before, max_rejects=1))], "ann", Via.SET, None)
    with pytest.raises(StoreError, match=r"dwh\.dim_aircraft.* was changed by somebody else"):
        store.write([RowChange(before, replaced(before, max_rejects=2))], "bob", Via.SET, None)
    assert store.read_rows().transformations[0].max_rejects == 1


def test_write_is_all_or_nothing(store: ControlStore) -> None:
    homeless = transformation("dwh.other", pipeline_id="nowhere")
    good = [RowChange(before=None, after=row, declared=row) for row in all_rows(small_rows())]
    with pytest.raises(StoreError, match="refused"):
        store.write([*good, RowChange(None, homeless)], "ann", Via.APPLY, None)
    assert store.read_rows() == ControlRows()
    assert store.history() == ()


def test_a_pipeline_and_its_transformations_come_and_go_together(store: ControlStore) -> None:
    shuffled = sorted(all_rows(small_rows()), key=lambda row: row.control_table, reverse=True)
    store.write([RowChange(None, row) for row in shuffled], "ann", Via.APPLY, None)
    store.write([RowChange(row, None) for row in all_rows(store.read_rows())], "ann", Via.APPLY, None)
    assert store.read_rows() == ControlRows()


def test_declared_keeps_which_columns_a_file_names(store: ControlStore) -> None:
    insert_rows(store, small_rows())
    (declared,) = store.declared().transformations
    assert declared == small_rows().transformations[0]
    assert "max_rejects" not in declared.model_fields_set
    assert "business_key" in declared.model_fields_set


def test_framework_written_is_what_the_framework_wrote_last(store: ControlStore) -> None:
    insert_rows(store, small_rows())
    (before,) = store.read_rows().transformations
    off = replaced(before, is_active=False, deactivated_by=DeactivatedBy.FRAMEWORK, comments="syntax error")
    store.write([RowChange(before, off)], "sluice", Via.FRAMEWORK, None)
    row_id = RowId.of(before)
    assert ColumnId(row_id, "is_active") in store.read_state().framework_written
    run_sql(store, "UPDATE transformation_control SET is_active = true WHERE environment = 'dev'")
    assert ColumnId(row_id, "is_active") not in store.read_state().framework_written


@pytest.mark.parametrize(
    ("statement", "column", "rule"),
    [
        ("UPDATE transformation_control SET business_key = '[1, 2]'", "business_key[0]", "wrong_type"),
        (
            'UPDATE transformation_control SET dependencies = \'[{"tabel": "x"}]\'',
            "dependencies[0].tabel",
            "unknown_key",
        ),
        ("UPDATE transformation_control SET column_list = '[7]'", "column_list[0]", "wrong_type"),
        ("UPDATE transformation_control SET backfill_start = 'yesterday'", "backfill_start", "wrong_type"),
        ('UPDATE transformation_control SET declared = \'{"load_type": "scd9"}\'', "declared", "broken_declaration"),
        ("UPDATE transformation_control SET declared = '5'", "declared", "broken_declaration"),
        ("UPDATE pipeline_control SET emr_instance_types = '[{}]'", "emr_instance_types[0]", "wrong_type"),
    ],
)
def test_a_row_edited_to_nonsense_is_a_fault(store: ControlStore, statement: str, column: str, rule: str) -> None:
    insert_rows(store, small_rows())
    run_sql(store, statement)
    with pytest.raises(MetadataError) as caught:
        store.read_state()
    found = {(fault.column, fault.rule) for fault in caught.value.faults}
    assert any(name and name.startswith(column) and what == rule for name, what in found), found
    assert all(fault.remedy and fault.key != "" for fault in caught.value.faults)


@pytest.mark.parametrize("value", ["\\u0000", "\\ud800", "1e999", "123456789012345678901"])
def test_what_no_row_can_hold_is_a_fault_even_where_its_type_fits(store: ControlStore, value: str) -> None:
    insert_rows(store, small_rows())
    test = f'"{value}"' if value.startswith("\\") else f'{{"a": {value}}}'
    statement = (
        f'UPDATE transformation_control SET column_list = \'[{{"name": "a", "type": "date", "tests": [{test}]}}]\''
    )
    with store._engine.begin() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(MetadataError) as caught:
        store.read_rows()
    assert {fault.rule for fault in caught.value.faults} == {"unstorable_value"}


def test_all_nonsense_is_reported_at_once(store: ControlStore) -> None:
    insert_rows(store, small_rows())
    run_sql(store, "UPDATE transformation_control SET business_key = '[1]', scd_columns = '[{}]'")
    run_sql(store, "UPDATE pipeline_control SET emr_instance_types = '[1]'")
    with pytest.raises(MetadataError) as caught:
        store.read_rows()
    assert {fault.table for fault in caught.value.faults} == {"transformation_control", "pipeline_control"}
    assert len(caught.value.faults) >= 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transformation_control SET load_type = 'scd3'",
        "UPDATE transformation_control SET pipeline_id = 'nowhere'",
        "UPDATE transformation_control SET sql_path = NULL",
        "UPDATE transformation_control SET business_key = '{\"a\": 1}'",
        "UPDATE transformation_control SET max_vanish_percent = 101",
        "UPDATE transformation_control SET deactivated_by = 'nobody'",
        "UPDATE source_control SET kind = 'pond'",
        "UPDATE source_control SET lookback_minutes = -1",
        "UPDATE pipeline_control SET spark_threshold_gb = '-1'",
        "UPDATE pipeline_control SET emr_core_min = 4, emr_core_max = 3",
        "INSERT INTO source_control (environment, schema, \"table\", kind) VALUES ('dev', 'lake', 'flights', 'lake')",
        "DELETE FROM pipeline_control",
    ],
)
def test_constraints_refuse_what_no_row_may_be(store: ControlStore, statement: str) -> None:
    insert_rows(store, small_rows())
    with pytest.raises(Exception, match=r"(?i)constraint"):
        run_sql(store, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE source_control SET lookback_minutes = 'soon'",
        "UPDATE transformation_control SET business_key = 'tailnum'",
        "UPDATE transformation_control SET is_active = 'maybe'",
    ],
)
def test_types_refuse_what_sqlite_would_keep(store: ControlStore, statement: str) -> None:
    insert_rows(store, small_rows())
    with pytest.raises(Exception, match=r"(?i)constraint|invalid input"):
        run_sql(store, statement)


def test_sql_may_insert_a_row_with_defaults(store: ControlStore) -> None:
    insert_rows(store, small_rows())
    columns = "environment, target_schema, target_table, pipeline_id, sql_path, load_type"
    values = "'dev', 'dwh', 'hand', 'flights_hourly', 'x.sql', 'append'"
    run_sql(store, f"INSERT INTO transformation_control ({columns}) VALUES ({values})")
    expected = transformation("dwh.hand", sql_path="x.sql", load_type="append", business_key=[], dependencies=[])
    assert expected in store.read_rows().transformations


def test_every_column_of_a_row_has_a_column_in_its_table(store: ControlStore) -> None:
    reflected = inspect(store._engine)
    for row in all_rows(RICH):
        found = {column["name"] for column in reflected.get_columns(row.control_table)}
        assert found == {*row.model_dump(by_alias=True), "environment", "declared"}


NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def load(target: str, minutes: int, status: LoadStatus = LoadStatus.SUCCESS, run: str = "r1") -> LoadEntry:
    finished = NOW + timedelta(minutes=minutes)
    return LoadEntry(
        run_id=run,
        pipeline_id="flights_hourly",
        target=target,
        load_id=f"load-{minutes}",
        status=status,
        started_at=finished - timedelta(seconds=3),
        finished_at=finished,
        seconds=3.25,
        rows=RowCounts(read=2**40, inserted=7) if status is LoadStatus.SUCCESS else None,
        windows=(Window("lake.flights", None, "2026-03-01 02:00:00.000001"), Window("lake.x", "a", None)),
        loaded_at=finished,
        error_message="FATAL: password=hunter2" if status is LoadStatus.ERROR else None,
        cluster=ClusterCost(93.5, 0.25, date(2020, 2, 1)) if minutes == 2 else None,
    )


def test_latest_loads_are_the_newest_of_each_target(store: ControlStore, store_url: str) -> None:
    insert_rows(store, rows(pipeline(), *(transformation(f"dwh.{name}") for name in "abc")))
    store.record_loads([load("dwh.a", 1), load("dwh.b", 2), load("dwh.without_a_row", 2)])
    store.record_loads([load("dwh.a", 5, LoadStatus.ERROR, run="r2")])
    store.record_loads([])
    latest = store.latest_loads().newest
    assert [(entry.target, entry.run_id, entry.status) for entry in latest] == [
        ("dwh.a", "r2", LoadStatus.ERROR),
        ("dwh.b", "r1", LoadStatus.SUCCESS),
    ]
    assert latest[1] == load("dwh.b", 2)
    assert latest[0].error_message == "FATAL: password=***"
    assert store.latest_loads().successful == (load("dwh.a", 1), load("dwh.b", 2))
    with ControlStore.open(store_url, "stage") as stage:
        insert_rows(stage, small_rows())
        assert stage.latest_loads() == LatestLoads((), ())


def test_newest_is_what_was_written_last_whatever_a_machine_believes_of_the_time(store: ControlStore) -> None:
    insert_rows(store, rows(pipeline(), transformation("dwh.a")))
    store.record_loads([load("dwh.a", 60, run="of a machine that is an hour ahead")])
    store.record_loads([load("dwh.a", 0, LoadStatus.ERROR, run="failed"), load("dwh.a", 1, run="right")])
    latest = store.latest_loads()
    assert [entry.run_id for entry in (*latest.newest, *latest.successful)] == ["right", "right"]
    store.record_loads([load("dwh.a", -60, LoadStatus.ERROR, run="of one that is an hour behind")])
    assert [entry.run_id for entry in store.latest_loads().newest] == ["of one that is an hour behind"]


def test_time_is_the_databases_whatever_this_machine_believes(store: ControlStore) -> None:
    said, now = store.correct(datetime.now(UTC)), store.now()
    with store._engine.begin() as connection:
        told = database_now(connection)
    assert abs(told - now) < timedelta(seconds=30), "as long as a busy machine may take for the asking"
    assert abs(told - said) < timedelta(seconds=30)


def test_last_loads_are_sought_and_not_found_by_reading_the_log(store: ControlStore) -> None:
    """The work grows with the rows, not with the history."""
    insert_rows(store, rows(pipeline(), *(transformation(f"dwh.t{number}") for number in range(20))))
    statuses = (LoadStatus.SUCCESS, LoadStatus.ERROR)
    store.record_loads([load(f"dwh.t{place % 20}", place, statuses[place % 7 == 0]) for place in range(500)])
    for doubling in range(6):
        others = {"entry_id": run_log.c.entry_id + str(doubling), "position": run_log.c.position + 500 * 2**doubling}
        twice = select(*(others.get(column.name, column) for column in run_log.c))
        with store._engine.begin() as connection:
            connection.execute(insert(run_log).from_select(list(run_log.c), twice))
    seen: list[tuple[str, object]] = []
    event.listen(store._engine, "before_cursor_execute", lambda *args: seen.append((args[2], args[3])))
    store.latest_loads()
    ((statement, parameters),) = [item for item in seen if "run_log" in item[0]]
    with store._engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("analyze")
        explain = "explain query plan " if connection.dialect.name == "sqlite" else "explain "
        plan = "\n".join(str(tuple(row)) for row in connection.exec_driver_sql(explain + statement, parameters))
    assert "ix_run_log_target" in plan
    assert "SCAN run_log" not in plan
    assert "Seq Scan on run_log" not in plan


def test_decisions_come_back_newest_first(store: ControlStore) -> None:
    def decision(target: str, minutes: int) -> DecisionEntry:
        at = NOW + timedelta(minutes=minutes)
        evidence = {"lake.flights": {"watermark": "2013-01-01", "rows": 3}, "none": None}
        return DecisionEntry("r1", at, "flights_hourly", target, "skip", "nothing_new", "Nothing new.", evidence)

    store.record_decisions([decision("dwh.a", 0), decision("dwh.b", 1), decision("dwh.a", 2)])
    assert store.latest_decisions() == (decision("dwh.a", 2), decision("dwh.b", 1), decision("dwh.a", 0))
    assert store.latest_decisions("dwh.a", before=NOW + timedelta(minutes=1)) == (decision("dwh.a", 0),)
    assert store.latest_decisions(limit=1) == (decision("dwh.a", 2),)


def test_the_last_decision_on_each_target_is_found_by_key(store: ControlStore) -> None:
    def decision(target: str, minutes: int) -> DecisionEntry:
        at = NOW + timedelta(minutes=minutes)
        return DecisionEntry("r1", at, "flights_hourly", target, "skip", "nothing_new", "Nothing new.", {})

    store.write(make_plan(RICH, store.read_state()).changes, "ann", Via.APPLY, None)
    first, *others = sorted(str(row.name) for row in RICH.transformations)
    store.record_decisions([decision(target, minute) for minute in range(3) for target in (first, *others, "dwh.gone")])
    assert store.last_decisions() == tuple(decision(target, 2) for target in (first, *others))

    statements: list[tuple[str, object]] = []
    event.listen(
        store._engine, "before_cursor_execute", lambda _c, _u, text, values, *_: statements.append((text, values))
    )
    store.last_decisions()
    statement, parameters = next(item for item in statements if "decision_log" in item[0])
    with store._engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            lines = [str(row[3]) for row in connection.exec_driver_sql(f"explain query plan {statement}", parameters)]
            inner = [line for line in lines if "transformation_control" in line]
            assert any(line.startswith("LIST SUBQUERY") for line in lines), lines
            assert len(inner) == 1, "the targets are read once, not once per decision"


def test_plan_of_applied_rows_is_empty(store: ControlStore) -> None:
    plan = make_plan(RICH, store.read_state())
    store.write(plan.changes, "ann", Via.APPLY, None)
    state = store.read_state()
    assert state == ControlState(rows=RICH, declared=RICH)
    assert make_plan(RICH, state).is_empty


def test_numbers_in_the_audit_come_back_as_numbers(store: ControlStore) -> None:
    insert_rows(store, small_rows())
    values = {entry.column: entry.new for entry in store.history("lake.flights", limit=100)}
    assert values["max_skew_minutes"] == 60
    assert values["lookback_minutes"] == 0


def test_connections_are_given_back(store_url: str) -> None:
    for _ in range(30):
        with ControlStore.open(store_url, "dev") as opened:
            opened.read_rows()
    engine = open_engine(parse_url(store_url)) if store_url.startswith("postgresql") else create_engine(store_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()
