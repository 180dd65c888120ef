"""The part of dbt's manifest that a selection needs: taken apart by node once, put together for any models.

A selection needs its models, the data tests on them, what both of them read, all hooks and all macros. What is only
read is there so that ref() and source() resolve: of its own parents it keeps those that lead to a node of the part, so
that dbt keeps the order of the selected nodes. DuckDB's `confine_files` reads each source with a folder and each seed.

Whoever selects by a name that is also a folder's or another node's gets more than one node from dbt, and whoever walks
`graph` sees nodes that a part does not have: such a selection is not cut.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from flows.dbt.package import PACKAGE
from flows.dbt.parse_inputs import CannotCutError

_Node = dict[str, Any]
_Get = Callable[[str], Any]

_SELECTABLE: Final = ("nodes", "exposures", "functions", "metrics", "unit_tests", "semantic_models", "saved_queries")
"""Parts of the manifest in which dbt looks for a selected name."""
_LEFT_OUT: Final = (*_SELECTABLE, "sources", "docs", "files", "disabled", "fixtures", "source_patches", "flat_graph")
_EXECUTED: Final = ("raw_code", "test_metadata", "config")
"""Fields of a node that hold Jinja which dbt renders while it runs."""
_WALKS: Final = re.compile(r"\bgraph\b|\bregister_upstream_external_models\b")
"""Jinja that sees other nodes than those that it reads: dbt's graph, and macros of dbt-duckdb that walk it."""
_ENV_VAR: Final = re.compile(r"""\benv_var\(\s*['"](\w+)['"]""")
_KNOWN_PACKAGES: Final = ("dbt", "dbt_duckdb", "dbt_postgres", "dbt_redshift", PACKAGE)
"""Packages whose macros that walk the graph are known here."""
_PLAIN: Final = re.compile(r"\w+")


def take_apart(raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Take a manifest apart.

    Args:
        raw: The manifest as dbt serializes it.

    Yields:
        Key and value of each record: `base`, `shared` (names that select more than one node), `name:` (id of the node
        of that name), `node:` (with the ids of its data tests), `parents:` and `source:` (of the node of that id).

    Raises:
        CannotCutError: When a macro of the team walks the graph.
    """
    _refuse_walks(raw)
    nodes: dict[str, _Node] = raw["nodes"]
    sources: dict[str, _Node] = raw["sources"]
    base = {name: value for name, value in raw.items() if name not in _LEFT_OUT}
    always = {"operation", "seed"}
    base["nodes"] = {key: node for key, node in nodes.items() if node["resource_type"] in always}
    base["sources"] = {key: source for key, source in sources.items() if (source.get("meta") or {}).get("folder")}
    yield "base", base
    yield from _names(raw)
    tests: dict[str, list[str]] = {}
    for key, node in nodes.items():
        for parent in _parents(node) if node["resource_type"] == "test" else ():
            tests.setdefault(parent, []).append(key)
    for key, node in nodes.items():
        yield f"node:{key}", {"node": node, "tests": tests.get(key, [])}
        yield f"parents:{key}", _parents(node)
    yield from ((f"source:{key}", source) for key, source in sources.items())


def variables_of(raw: Mapping[str, Any]) -> set[str]:
    """Return the environment variables that a parse may have read: those that dbt noted, and those in macros."""
    named = (_ENV_VAR.findall(macro["macro_sql"]) for macro in raw["macros"].values())
    return set(raw.get("env_vars") or ()).union(*named)


def put_together(get: _Get, models: Collection[str]) -> dict[str, Any]:
    """Return the part of a manifest that the models need.

    Args:
        get: Returns the value of a record; of one that does not exist, None.
        models: Names of models.

    Raises:
        CannotCutError: When it cannot be cut for these models.
    """
    base, shared = _known(get, "base"), set(_known(get, "shared"))
    own = [_id_of(get, name, shared) for name in sorted(models)]
    tests = sorted({test for key in own for test in _known(get, f"node:{key}")["tests"]})
    executed: dict[str, _Node] = {}
    waiting = [*own, *tests, *base["nodes"]]
    read: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key in executed:
            continue
        executed[key] = node = _known(get, f"node:{key}")["node"]
        _refuse_executed(node, shared)
        for parent in {*_parents(node), *filter(None, [node.get("attached_node")])}:
            read.add(parent)
            if not parent.startswith("source.") and _is_ephemeral(_known(get, f"node:{parent}")["node"]):
                waiting.append(parent)  # its SELECT is compiled into this one
    kept = read | set(executed)
    sources = {key: _known(get, f"source:{key}") for key in kept if key.startswith("source.")}
    leads = _Leads(get, kept)
    stubs = {key: leads.trim(_known(get, f"node:{key}")["node"]) for key in kept - set(sources) - set(executed)}
    return {**base, "nodes": {**executed, **stubs}, "sources": {**base["sources"], **sources}}


class _Leads:
    """Which nodes of the part a node reads, through nodes that are not in the part."""

    def __init__(self, get: _Get, kept: Collection[str]) -> None:
        self._get = get
        self._kept = kept
        self._known: dict[str, frozenset[str]] = {}

    def trim(self, node: _Node) -> _Node:
        found = sorted(self._through(node["unique_id"]))
        return {**node, "depends_on": {**(node.get("depends_on") or {}), "nodes": found}}

    def _through(self, start: str) -> frozenset[str]:
        """Go depth first without recursion: lineages may be deep."""
        waiting = [start]
        while waiting:
            key = waiting[-1]
            parents = () if key.startswith("source.") else _known(self._get, f"parents:{key}")
            beyond = [parent for parent in parents if parent not in self._kept]
            unknown = [parent for parent in beyond if parent not in self._known]
            if unknown:
                waiting += unknown
                continue
            direct = frozenset(parents).intersection(self._kept)
            self._known[waiting.pop()] = direct.union(*(self._known[parent] for parent in beyond))
        return self._known[start]


def _names(raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names that select one node, and those that select more."""
    ids: dict[str, str] = {}
    count: Counter[str] = Counter()
    folders: set[str] = set()
    for kind in _SELECTABLE:
        for key, node in (raw.get(kind) or {}).items():
            fqn = node["fqn"]
            names = {node["name"], fqn[-1]}
            if node.get("version") is not None:
                names |= {fqn[-2], "_".join(fqn[-2:])}
            count.update(names)
            ids.update((name, key) for name in names if kind == "nodes")
            folders |= {part.split(".")[0] for part in fqn[:2] if part not in names}
    shared = {name for name, number in count.items() if number > 1} | folders
    yield "shared", sorted(shared)
    yield from ((f"name:{name}", key) for name, key in ids.items() if name not in shared)


def _id_of(get: _Get, name: str, shared: Collection[str]) -> str:
    found = get(f"name:{name}")
    if not _PLAIN.fullmatch(name) or name in shared or found is None:
        raise CannotCutError(f"{name} is not the name of one node")
    return str(found)


def _known(get: _Get, key: str) -> Any:
    found = get(key)
    if found is None:
        raise CannotCutError(f"{key} is not kept")
    return found


def _parents(node: _Node) -> list[str]:
    found: list[str] = (node.get("depends_on") or {}).get("nodes") or []
    return found


def _is_ephemeral(node: _Node) -> bool:
    return (node.get("config") or {}).get("materialized") == "ephemeral"


def _refuse_walks(raw: Mapping[str, Any]) -> None:
    """Refuse a project whose macros walk the graph: which of its nodes call them is only known while dbt runs.

    DuckDB looks for tables that refer to the one that it builds, in all models. Nodes of a dbt plugin have no file.
    """
    for key, node in raw["nodes"].items():
        if not node.get("original_file_path"):
            raise CannotCutError(f"{key} has no file")
        if '"foreign_key"' in json.dumps([node.get("constraints"), node.get("columns")], default=str):
            raise CannotCutError(f"{key} has a foreign key")
    root = (raw.get("metadata") or {}).get("project_name")
    for key, macro in raw["macros"].items():
        if macro["package_name"] in _KNOWN_PACKAGES and not _is_teams(macro, root):
            continue
        if _WALKS.search(macro["macro_sql"]):
            raise CannotCutError(f"{key} may walk the graph")


def _is_teams(macro: _Node, root: str | None) -> bool:
    """Whether a macro is the project's: this repository's own project bears the package's name."""
    return macro["package_name"] == root and not str(macro["original_file_path"]).startswith("../macros/")


def _refuse_executed(node: _Node, shared: Collection[str]) -> None:
    """Refuse a node that dbt selects with others, or whose own Jinja may walk the graph."""
    if node["resource_type"] == "test" and node["name"] in shared:
        raise CannotCutError(f"{node['name']} is not the name of one node")
    text = str([node.get(field) for field in _EXECUTED])
    if _WALKS.search(text) or (node.get("config") or {}).get("materialized") == "external":
        raise CannotCutError(f"{node['unique_id']} may walk the graph")
