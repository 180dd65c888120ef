"""Opening the control database: created, migrated, refused; by one process or by many at once."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.schema import CreateTable

from metadata_sync.database import ControlStore
from metadata_sync.database.engine import open_engine, parse_url
from metadata_sync.database.tables import metadata
from metadata_sync.database.upgrade import HEAD_REVISION, MIGRATIONS, VERSION_TABLE
from metadata_sync.errors import ConfigurationError, StoreError
from tests.support.control_support import run_python


def test_head_revision_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD_REVISION]


def test_migrations_make_the_tables_of_the_code(store: ControlStore) -> None:
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_make_the_checks_of_the_code(store: ControlStore) -> None:
    """Alembic does not compare CHECKs."""
    migrated = inspect(store._engine)
    for name, table in metadata.tables.items():
        rendered = str(CreateTable(table).compile(store._engine))
        named = {str(check.name) for check in table.constraints if str(check.name).startswith("ck_")}
        wanted = {check for check in named if f"CONSTRAINT {check} " in rendered}
        assert {check["name"] for check in migrated.get_check_constraints(name)} == wanted, name


def test_migrations_make_every_line_of_the_code(tmp_path: Path) -> None:
    """Columns, types, defaults, checks and keys, word for word, where the database keeps the words."""
    url = f"sqlite:///{tmp_path / 'control.db'}"
    with ControlStore.open(url, "dev") as store, store._engine.connect() as connection:
        for name, table in metadata.tables.items():
            query = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
            migrated = connection.execute(query, {"name": name}).scalar_one()
            code = str(CreateTable(table).compile(store._engine))
            assert lines(migrated) == lines(code)


def lines(statement: str) -> list[str]:
    """Columns and constraints of a CREATE TABLE; a column that was added later bears its checks itself."""
    body = " ".join(statement.split()).partition("(")[2].rpartition(")")[0]
    found = []
    for part in outer_parts(body):
        column, *checks = re.split(r"(?<!^)\bCONSTRAINT (?=\w+ CHECK )", part)
        for check in checks:
            rule, _, rest = check.rpartition(")")
            found.append(f"CONSTRAINT {rule})")
            column += rest.strip() + " "
        found.append(" ".join(column.split()))
    return sorted(found)


def outer_parts(body: str) -> list[str]:
    """Split at the commas that stand in no parentheses."""
    parts, depth = [""], 0
    for character in body:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def test_migration_says_what_each_revision_adds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with create_engine(url).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0019")
    caplog.clear()
    ControlStore.open(url, "dev").close()
    (told,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert told.startswith("The control database is migrated from revision 0019. 0020: Targets that copy a table")
    caplog.clear()
    ControlStore.open(url, "dev").close()
    ControlStore.open(f"sqlite:///{tmp_path / 'new.db'}", "dev").close()
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_opening_again_imports_no_alembic(store_url: str) -> None:
    ControlStore.open(store_url, "dev").close()
    code = """
        import sys
        from metadata_sync.database import ControlStore
        ControlStore.open(sys.argv[1], "dev").read_rows()
        assert "alembic" not in sys.modules, "alembic was imported"
    """
    process = run_python(code, store_url)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_opening_waits_for_whoever_writes_before_it_changes_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("begin immediate")
        end = threading.Timer(0.3, other.rollback)
        end.start()
        with ControlStore.open(f"sqlite:///{path}", "dev") as store:
            assert store.history() == ()
        end.join()


@pytest.mark.processes
def test_opened_by_many_at_once_is_made_once(store_url: str) -> None:
    code = """
        import sys
        from metadata_sync.database import ControlStore
        with ControlStore.open(sys.argv[1], "dev") as store:
            print(len(store.history()))
    """
    processes = [run_python(code, store_url) for _ in range(6)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [out.strip() for out, _ in results] == ["0"] * 6, results
    with ControlStore.open(store_url, "dev") as store, store._engine.connect() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM {VERSION_TABLE}")).scalar() == 1


def test_newer_than_the_code_is_refused(store_url: str) -> None:
    with ControlStore.open(store_url, "dev") as store, store._engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"9999.*newer than this Sluice") as caught:
        ControlStore.open(store_url, "dev")
    assert "Upgrade Sluice" in caught.value.hint


def test_sqlite_works_in_wal_with_foreign_keys(tmp_path: Path) -> None:
    with (
        ControlStore.open(f"sqlite:///{tmp_path / 'control.db'}", "dev") as store,
        store._engine.connect() as connection,
    ):
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 30_000


@pytest.mark.parametrize(
    "content", [b"this is not a database, but a letter to my aunt\n" * 100, b"SQLite format 3\x00" + b"x" * 5000]
)
def test_not_a_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "control.db"
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        ControlStore.open(f"sqlite:///{path}", "dev")
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert path.read_bytes() == content


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        ControlStore.open(f"sqlite:///{tmp_path}", "dev")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="folder of the control database"):
        ControlStore.open(f"sqlite:///{tmp_path / 'file' / 'x' / 'control.db'}", "dev")


def test_a_read_only_folder_is_refused_with_a_remedy() -> None:
    """Root may write everywhere, so somebody without rights tries."""
    code = """
        import os, pathlib, tempfile
        import sqlalchemy.dialects.sqlite.pysqlite
        from metadata_sync.database import ControlStore
        from metadata_sync.errors import StoreError
        ControlStore.open("sqlite://", "dev").close()  # imports what a user without rights may not read
        if os.geteuid() == 0:
            os.setgid(65534), os.setuid(65534)
        folder = pathlib.Path(tempfile.mkdtemp())
        made = folder / "made"
        made.mkdir()
        ControlStore.open(f"sqlite:///{made / 'control.db'}", "dev").close()
        made.chmod(0o500), (made / "control.db").chmod(0o400)
        fresh = folder / "fresh"
        fresh.mkdir(mode=0o500)
        for place in (made, fresh):
            try:
                with ControlStore.open(f"sqlite:///{place / 'control.db'}", "dev") as store:
                    store.write([], "x", "set", None)
            except StoreError as error:
                print(error.message, "|", error.hint)
            else:
                print("nothing")
    """
    process = run_python(code)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert out.count("writable for this user") == 2, out


def test_an_unreachable_server_is_refused_without_its_password() -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        ControlStore.open("postgresql://ada:hunter2@127.0.0.1:1/rows", "dev")
    assert "hunter2" not in str(caught.value)
    assert "SLUICE_CONTROL_URL" in caught.value.hint


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "", "sqlite"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ControlStore.open(url, "dev")
    assert "SLUICE_CONTROL_URL" in caught.value.hint


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_urls_mean_psycopg(scheme: str) -> None:
    engine = open_engine(parse_url(f"{scheme}://u@h/d"))
    assert engine.driver == "psycopg"
    engine.dispose()


def test_a_migration_cut_short_leaves_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    code = """
        import os, signal, sys
        from sqlalchemy import event
        from metadata_sync.database import ControlStore, store
        make = store.open_engine
        def dying(url):
            engine = make(url)
            @event.listens_for(engine, "after_cursor_execute")
            def _(connection, cursor, statement, *rest):
                if "transformation_control" in statement:
                    os.kill(os.getpid(), signal.SIGKILL)
            return engine
        store.open_engine = dying
        ControlStore.open(sys.argv[1], "dev")
    """
    process = run_python(code, url)
    process.communicate(timeout=60)
    assert process.returncode == -9
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    with ControlStore.open(url, "dev") as store:
        assert store.history() == ()
