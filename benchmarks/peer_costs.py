"""Peers that cannot share our environment: each in one of its own, with the same events, checked like everybody else.

They run on the DuckDB that they bring. A cost is a load's in a process that has imported the peer, as with dbt's nodes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from events import (
    COLUMNS,
    DELTA_LANDED,
    FIRST_LANDED,
    Events,
    deliver_newest_only,
    expected_newest,
    expected_versions,
    wrong_rows,
)
from load_process import LoadCost

Kind = Literal["scd1", "scd2"]

_SCRIPTS = Path(__file__).with_name("peers")
_LISTED = ", ".join(COLUMNS)


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer.

    Attributes:
        requirements: What its environment holds: the versions that were compared with.
        found: Kind → query that yields what it made.
    """

    requirements: Sequence[str]
    found: Mapping[Kind, str]


PEERS: Mapping[str, Peer] = {
    "sqlmesh": Peer(
        ("sqlmesh==0.236.4",),
        {
            "scd1": f"select {_LISTED} from dwh.peer",
            "scd2": f"select {_LISTED}, valid_from, valid_to from dwh.peer",
        },
    ),
    # dlt dates versions by the load: only what is current can be compared
    "dlt": Peer(
        ("dlt[duckdb]==1.31.0", "pyarrow"),
        {
            "scd1": f"select {_LISTED} from dwh.peer",
            "scd2": f"select {_LISTED} from dwh.peer where _dlt_valid_to is null",
        },
    ),
}


def peer_costs(name: str, kind: Kind, events: Events) -> dict[str, LoadCost]:
    """Let a peer load the first delivery and the next one.

    Returns:
        Costs by "first load" and "in order".

    Raises:
        RuntimeError: When it failed, or made wrong rows.
    """
    peer = PEERS[name]
    dates_by_event = "valid_from" in peer.found[kind]
    task = {
        "kind": kind,
        "columns": COLUMNS,
        "first": [*events.first(), *deliver_newest_only(FIRST_LANDED)],
        "delta": [*events.delta(), *deliver_newest_only(DELTA_LANDED)],
        "wrong": wrong_rows(peer.found[kind], expected_versions() if dates_by_event else expected_newest()),
    }
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - our own script
            [_python(name, peer), str(_SCRIPTS / f"{name}_loads.py")],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{name} failed at {kind}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    return {work: _cost(found[key]) for work, key in (("first load", "first"), ("in order", "delta"))}


def _cost(found: Mapping[str, float]) -> LoadCost:
    cpu = found["cpu_seconds"]
    return LoadCost(found["wall_seconds"], cpu, cpu, found["peak_mib"])


def _python(name: str, peer: Peer) -> str:
    """Return the interpreter of a peer's environment, made when it is missing."""
    folder = Path(sys.prefix) / "peers" / name
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists() or ready.read_text() != " ".join(peer.requirements):
        print(f"Installing {name} into {folder} ...", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *peer.requirements], check=True)  # noqa: S603 - pins of ours
        ready.write_text(" ".join(peer.requirements))
    return str(python)
