"""External tables over files in S3, as Spectrum reads them.

Each file is a child table, so that the hidden column "$path" of a row is known by the table that holds it. Before a
statement names an external table, the children are brought up to what S3 holds; an open transaction sees what it saw.

Only Parquet is read, by the names of columns (c-getting-started-using-spectrum-create-external-table.html). Files whose
names begin with a dot, an underscore or a hash mark, or end with a tilde, are no data; of a partitioned table only the
files of its partitions are (c-spectrum-external-tables.html).
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import duckdb
import psycopg
from psycopg import sql

from tests.redshift_standin.errors import RedshiftError
from tests.redshift_standin.expressions.names import literal
from tests.redshift_standin.statements.lake import LOADS, Lake, bare_value, split

TABLES = """
    select e.reloid::int8, c.relname, e.location, e.part_keys,
        coalesce(json_object_agg(p.location, p.values) filter (where p.reloid is not null), '{}')
    from rs_catalog.external_table as e join pg_class as c on c.oid = e.reloid
        left join rs_catalog.external_partition as p on p.reloid = e.reloid
    where e.is_parquet group by 1, 2, 3, 4"""


Values = Mapping[str, str]
"""The columns that a partition fixes."""


@dataclass
class Spectrum:
    """Brings the rows of external tables up to the files of S3.

    Attributes:
        url: PostgreSQL's, of the database.
        lake: S3.
        read: Addresses of files in the order in which their rows were read.
    """

    url: str
    lake: Lake
    read: list[str] = field(default_factory=list)
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self, statement: str) -> None:
        """Bring the tables that a statement names up to date."""
        with self._busy, psycopg.connect(self.url, autocommit=True) as connection:
            for reloid, name, location, part_keys, partitions in connection.execute(TABLES).fetchall():
                if re.search(rf"\b{re.escape(name)}\b", statement, re.IGNORECASE):
                    folders = partitions if part_keys else {location: {}}
                    self._refresh(connection, reloid, folders)

    def _refresh(self, connection: psycopg.Connection, reloid: int, folders: Mapping[str, Values]) -> None:
        query = "select path, etag, childoid::int8 from rs_catalog.external_file where reloid = %s"
        known = {(path, etag): child for path, etag, child in connection.execute(query, [reloid])}
        there = {file[:2]: file[2:] for folder, values in folders.items() for file in self._files(folder, values)}
        for key in known.keys() - there.keys():
            child = connection.execute("select %s::regclass::text", [known[key]]).fetchone()
            assert child is not None
            with connection.transaction():  # rows go, the table stays: whoever reads the parent holds a lock on it
                connection.execute(f"delete from {child[0]}")
                connection.execute("delete from rs_catalog.external_file where childoid = %s", [known[key]])
        for key in sorted(there.keys() - known.keys()):
            size, values = there[key]
            self._add(connection, reloid, key, size, values)

    def _files(self, folder: str, values: Values) -> Iterator[tuple[str, str, int, Values]]:
        bucket, prefix = split(folder.rstrip("/") + "/")
        names = {item["Name"] for item in self.lake.client.list_buckets()["Buckets"]}
        if bucket not in names:
            return
        pages = self.lake.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", []):
                name = item["Key"].rpartition("/")[2]  # AWS says it of files, not of folders
                if not name.startswith((".", "_", "#")) and not name.endswith("~"):
                    yield f"s3://{bucket}/{item['Key']}", item["ETag"], item["Size"], values

    def _add(self, connection: psycopg.Connection, reloid: int, key: tuple[str, str], size: int, fixed: Values) -> None:
        columns = connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = %s and attnum > 0 and not attisdropped order by attnum", [reloid],
        ).fetchall()  # fmt: skip
        found = connection.execute("select %s::regclass::text", [reloid]).fetchone()
        assert found is not None
        parent = found[0]
        rows = list(_rows(key[0], self.lake.read(key[0]), [item for item in columns if item[0] not in fixed]))
        self.read.append(key[0])
        with connection.transaction():
            child = (
                f"rs_catalog.file_{connection.execute('select nextval(%s)', ['rs_catalog.file_number']).fetchone()[0]}"  # type: ignore[index]
            )
            connection.execute(f"create table {child} () inherits ({parent})")
            names = [sql.Identifier(name) for name, _ in columns if name not in fixed]
            tail = "".join(f", {literal(value)}" for value in fixed.values())
            for start in range(0, len(rows), 500):
                lines = ", ".join(f"({row}{tail})" for row in rows[start : start + 500])
                into = sql.SQL(", ").join([*names, *map(sql.Identifier, fixed)]).as_string(connection)
                connection.execute(f"insert into {child} ({into}) values {lines}".encode())
            connection.execute(
                "insert into rs_catalog.external_file values (%s::regclass, %s, %s, %s, %s)",
                [child, reloid, *key, size],
            )


def _rows(url: str, content: bytes, columns: list[tuple[str, str]]) -> Iterator[str]:
    """Rows of a file as VALUES, its columns by name; a column that it lacks is NULL.

    Raises:
        RedshiftError: When a type does not fit, when the file is no Parquet.
    """
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        file = Path(folder, "rows.parquet")
        file.write_bytes(content)
        connection.execute("set timezone = 'UTC'")
        try:
            result = connection.execute("select * from read_parquet(?)", [str(file)])
        except duckdb.Error as error:
            text = f"Spectrum Scan Error: File '{unquote(url)}' is not a Parquet file: {str(error).splitlines()[0]}"
            raise RedshiftError("XX000", text) from error
        kinds = {str(column[0]).lower(): str(column[1]) for column in result.description or ()}
        places = {name: number for number, name in enumerate(kinds)}
        fetched = result.fetchall()
    for name, wanted in columns:
        kind = kinds.get(name)
        base = wanted.partition("(")[0]
        if (
            kind is not None
            and base not in LOADS.get(kind, ())
            and not (kind.startswith("DECIMAL") and base == "numeric")
        ):
            text = f"File '{url}' has an incompatible Parquet schema for column '{name}'. Column type: {wanted.upper()}"
            raise RedshiftError("XX000", f"Spectrum Scan Error: {text}, Parquet schema: {kind}")
    for row in fetched:
        yield ", ".join(bare_value(row[places[name]]) if name in places else "null" for name, _ in columns)
