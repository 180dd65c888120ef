"""The rows that some pipelines or targets need, read by their keys from both databases."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from metadata_sync.database import ControlStore
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import ControlRow, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.vocabulary import LoadType, Template


def _pipeline(name: str) -> PipelineRow:
    return PipelineRow(pipeline_id=name, pipeline_name=name, template=Template.PRESENTATION)


def _source(table: str) -> SourceRow:
    return SourceRow.model_validate({"schema": "raw", "table": table, "kind": "warehouse"})


def _target(table: str, pipeline: str, *reads: str) -> TransformationRow:
    return TransformationRow.model_validate(
        {
            "target_schema": "dwh",
            "target_table": table,
            "pipeline_id": pipeline,
            "sql_path": f"{table}.sql",
            "load_type": LoadType.APPEND,
            "dependencies": [{"table": name, "driving": True} for name in reads],
        }
    )


def _write(store: ControlStore, *rows: ControlRow) -> None:
    store.write([RowChange(None, row) for row in rows], "tester", "apply", None)


ROWS = (
    *(_pipeline(name) for name in ("a", "b", "c")),
    *(_source(table) for table in ("orders", "customers", "unread")),
    _target("order", "a", "raw.orders", "dwh.customer"),
    _target("customer", "b", "raw.customers"),
    _target("report", "c", "dwh.order"),
)


def _keys(store: ControlStore, pipelines: tuple[str, ...] = (), targets: tuple[str, ...] = ()) -> list[str]:
    rows = store.read_part(pipelines, targets).usable
    return [row.key for row in (*rows.sources, *rows.pipelines, *rows.transformations)]


def test_part_is_the_rows_what_they_read_and_the_pipelines_of_both(store: ControlStore) -> None:
    _write(store, *ROWS)
    assert _keys(store, ("a",)) == ["raw.orders", "a", "b", "dwh.customer", "dwh.order"]
    assert _keys(store, ("b",)) == ["raw.customers", "b", "dwh.customer"]
    assert _keys(store, targets=("dwh.report",)) == ["a", "c", "dwh.order", "dwh.report"]
    assert _keys(store, ("b",), ("dwh.report",)) == [
        "raw.customers", "a", "b", "c", "dwh.customer", "dwh.order", "dwh.report",
    ]  # fmt: skip


def test_names_that_nothing_has_are_left_out(store: ControlStore) -> None:
    _write(store, *ROWS)
    assert _keys(store) == []
    assert _keys(store, ("nowhere",), ("dwh.nothing", "no dot", "")) == []
    assert store.latest_loads({"no dot"}).newest == ()
    assert store.last_decisions(()) == ()


def test_rows_of_another_environment_are_no_part(store: ControlStore, store_url: str) -> None:
    _write(store, *ROWS)
    with ControlStore.open(store_url, "stage") as stage:
        assert _keys(stage, ("a",)) == []
        assert stage.last_change() == ""
        assert stage.target_names() == frozenset()
    assert store.target_names() == {"dwh.order", "dwh.customer", "dwh.report"}


def test_more_keys_than_a_statement_may_name_are_asked_for_in_turns(store: ControlStore) -> None:
    many = [_target(f"t{number:04}", "a", "raw.orders") for number in range(1_203)]
    _write(store, *ROWS, *many)
    names = tuple(str(row.name) for row in many)
    assert len(store.read_part(targets=names).usable.transformations) == len(many)
    assert store.latest_loads(names).newest == ()


def test_a_row_edited_by_hand_is_in_the_part_with_its_fault(store: ControlStore, store_url: str) -> None:
    _write(store, *ROWS)
    engine = create_engine(store_url)
    with engine.begin() as connection:
        statement = "update transformation_control set dependencies = :value where target_table = 'order'"
        connection.execute(
            text(statement), {"value": '[{"table": 7}, "x", {"table": "raw.unread"}, {"table": "no dot"}]'}
        )
    engine.dispose()
    stored = store.read_part(("a",))
    assert [row["table"] for row_type, row in stored.stored if row_type is SourceRow] == ["unread"]
    assert {fault.key for fault in stored.faults} == {"dwh.order"}


def test_every_write_of_rows_is_a_newer_change(store: ControlStore) -> None:
    assert store.last_change() == ""
    seen = [""]
    for row in ROWS:
        _write(store, row)
        seen.append(store.last_change())
    assert seen == sorted(set(seen))


def test_the_whole_replaces_a_part_and_nothing_else(store: ControlStore) -> None:
    _write(store, *ROWS)
    part, whole = store.read_part(("a",)).usable, store.usable_rows()
    assert store.whole(part) == whole
    assert store.whole(whole) is whole
    assert part.model_copy(update={"sources": ()}).is_part
