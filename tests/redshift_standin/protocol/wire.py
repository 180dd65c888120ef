"""PostgreSQL's wire protocol, version 3: messages and the few fields that the stand-in reads or changes.

https://www.postgresql.org/docs/15/protocol-message-formats.html
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

INT = struct.Struct("!i")
SHORT = struct.Struct("!h")
SSL_REQUEST = 80877103
CANCEL_REQUEST = 80877102
PROTOCOL_3 = 196608
TEXT, VARCHAR, NUMERIC = 25, 1043, 1700
INTERVAL, YEAR_TO_MONTH, DAY_TO_SECOND = 1186, 1188, 1190
YEARS_AND_MONTHS = 6  # how PostgreSQL's size of an interval says so
SIZED = {TEXT: (VARCHAR, 65535 + 4), VARCHAR: (VARCHAR, 65535 + 4), NUMERIC: (NUMERIC, (38 << 16 | 10) + 4)}
"""Types without a size: the type and the size that Redshift would show."""


class ConnectionClosedError(Exception):
    """The other side hung up."""


@dataclass
class Stream:
    """Messages over a socket."""

    socket: socket.socket

    def __post_init__(self) -> None:
        self._file = self.socket.makefile("rb")

    def read_exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if data is None or len(data) < size:
            raise ConnectionClosedError
        return data

    def read(self) -> tuple[bytes, bytes]:
        """One message: its kind and its body."""
        head = self.read_exactly(5)
        return head[:1], self.read_exactly(INT.unpack_from(head, 1)[0] - 4)

    def read_startup(self) -> tuple[int, bytes]:
        """The first message, which has no kind: its code and what follows."""
        size = INT.unpack(self.read_exactly(4))[0]
        body = self.read_exactly(size - 4)
        return INT.unpack_from(body)[0], body[4:]

    def write(self, *messages: bytes) -> None:
        self.socket.sendall(b"".join(messages))

    def close(self) -> None:
        self._file.close()
        self.socket.close()


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + INT.pack(len(body) + 4) + body


def startup(parameters: dict[str, str]) -> bytes:
    body = INT.pack(PROTOCOL_3)
    body += b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
    return INT.pack(len(body) + 4) + body


def parameters(body: bytes) -> dict[str, str]:
    """Names and values of a startup message."""
    words = [word.decode() for word in body.rstrip(b"\0").split(b"\0")]
    return dict(zip(words[::2], words[1::2], strict=False))


def error_fields(body: bytes) -> dict[str, str]:
    """Fields of an ErrorResponse by their letter."""
    return {word[:1].decode(): word[1:].decode("utf8", "replace") for word in body.split(b"\0") if word}


def error(code: str, text: str, detail: str = "") -> bytes:
    """Body of an ErrorResponse."""
    fields = {"S": "ERROR", "V": "ERROR", "C": code, "M": text, **({"D": detail} if detail else {})}
    return b"".join(f"{name}{value}\0".encode() for name, value in fields.items()) + b"\0"


def row(body: bytes) -> list[str | None]:
    """Values of a DataRow in text format."""
    values: list[str | None] = []
    at = 2
    for _ in range(SHORT.unpack_from(body)[0]):
        size = INT.unpack_from(body, at)[0]
        at += 4
        values.append(None if size < 0 else body[at : at + size].decode())
        at += max(size, 0)
    return values


def row_with(body: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A DataRow with each value changed."""
    changed, at = [body[:2]], 2
    for _ in range(SHORT.unpack_from(body)[0]):
        size = INT.unpack_from(body, at)[0]
        value = change(body[at + 4 : at + 4 + max(size, 0)])
        changed += [INT.pack(len(value) if size >= 0 else size), value]
        at += 4 + max(size, 0)
    return b"".join(changed)


def as_redshift(body: bytes, types: Mapping[int, int]) -> bytes:
    """A RowDescription in which each text and each decimal has its size, as on Redshift; see rs_catalog.type_of.

    Args:
        body: PostgreSQL's.
        types: The stand-in's own types → Redshift's.
    """
    described = bytearray(body)
    at = 2
    for _ in range(SHORT.unpack_from(body)[0]):
        at = body.index(b"\0", at) + 1  # then table, column, type, length of the type, its size, format
        kind, size = INT.unpack_from(body, at + 6)[0], INT.unpack_from(body, at + 12)[0]
        if size < 0 and kind in SIZED:
            sized, size = SIZED[kind]
            INT.pack_into(described, at + 6, sized)
            INT.pack_into(described, at + 12, size)
        elif kind in types:
            INT.pack_into(described, at + 6, types[kind])
        elif kind == INTERVAL and size >= 0:
            INT.pack_into(described, at + 6, YEAR_TO_MONTH if size >> 16 == YEARS_AND_MONTHS else DAY_TO_SECOND)
        at += 18
    return bytes(described)


class Column(NamedTuple):
    """A column of a result: its name, its type, and the type's sizes as PostgreSQL packs them (-1: none)."""

    name: str
    kind: int
    modifier: int


def columns(body: bytes) -> list[Column]:
    """The columns of a RowDescription."""
    found = []
    at = 2
    for _ in range(SHORT.unpack_from(body)[0]):
        end = body.index(b"\0", at)
        kind, modifier = INT.unpack_from(body, end + 7)[0], INT.unpack_from(body, end + 13)[0]
        found.append(Column(body[at:end].decode(), kind, modifier))
        at = end + 19
    return found
