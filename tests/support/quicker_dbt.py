"""What dbt does anew at each of a thousand invocations in one process, and a test process does once or with less."""

from __future__ import annotations

import inspect
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import local
from types import ModuleType
from typing import Any

from dbt.adapters.factory import get_adapter, register_adapter
from dbt.cli import requires
from dbt.context.providers import generate_runtime_macro_context
from dbt.context.query_header import generate_query_header_context
from dbt.mp_context import get_mp_context
from dbt.parser import manifest
from dbt.plugins.manager import PluginManager
from dbt_common.clients import agate_helper
from dbt_common.clients.jinja import MacroFuzzEnvironment
from dbt_common.events import event_manager
from dbt_common.events.base_types import BaseEvent, EventLevel, get_global_metadata_vars, get_pid, get_thread_name
from dbt_common.events.event_manager import EventManager
from dbt_common.events.helpers import get_json_string_utcnow
from dbt_common.invocation import get_invocation_id
from dbt_common.tests import enable_test_caching
from jinja2.nodes import Template

QUIET_LEVELS = (EventLevel.DEBUG, EventLevel.TEST, EventLevel.INFO)
MOST_PROJECTS = 4
OWN = "SLUICE_"
"""Variables that macros read only while they execute."""
OWN_CALLBACK = "track_behavior_change_warn"
"""dbt's only callback of its own: it reads warnings."""


def hurry_dbt() -> None:
    """Let dbt parse each macro once, and skip what nobody reads; for the rest of the process."""
    enable_test_caching()
    _remember_syntax_trees()
    _leave_sources_unread()
    _skip_events_that_nobody_reads()
    _remember_type_testers()
    _remember_projects()
    _remember_plugins()


def _remember_syntax_trees() -> None:
    """Let `parse` return the tree that it made of the same text before.

    Two thirds of the time in which dbt parses a small project go into trees of the same eight hundred macros, which it
    only reads: it looks for names in them. What dbt renders is compiled on another path, which this leaves alone.
    """
    parse = MacroFuzzEnvironment.parse
    known: dict[str, Template] = {}

    def remembering(self: MacroFuzzEnvironment, source: str, *name: str | None) -> Template:
        if source not in known:
            known[source] = parse(self, source, *name)
        return known[source]

    setattr(MacroFuzzEnvironment, "parse", remembering)  # noqa: B010 (a type checker refuses the assignment of a method)


def _leave_sources_unread() -> None:
    """Let `inspect.stack` read no lines of source, and look for no module of code that has no file.

    Adapters ask for the stack at each flag and each connection. For each frame whose file is no module's, and xdist has
    some at its bottom, that goes through all modules: with Prefect, moto and Spark among them, most of what dbt took.
    """
    getmodule = inspect.getmodule

    def hurried(thing: Any, _filename: str | None = None) -> ModuleType | None:
        if inspect.isframe(thing) and thing.f_code.co_filename.startswith("<"):
            return None
        return getmodule(thing, _filename)

    setattr(inspect, "getmodule", hurried)  # noqa: B010 (as above)
    inspect.stack = partial(inspect.stack, context=0)


def _skip_events_that_nobody_reads() -> None:
    """Let an event become a message when somebody reads it, and fire none below a warning without a reader.

    dbt makes two protobuf messages of each event, field by field, and sends three events for each statement: a third
    of a load's time.
    """
    make, fire = BaseEvent.__init__, EventManager.fire_event

    def begin(self: BaseEvent, *values: Any, **fields: Any) -> None:
        self.__dict__["_made_of"] = (values, fields)

    def read(self: BaseEvent, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if "pb_msg" not in self.__dict__:
            values, fields = self.__dict__["_made_of"]
            try:
                self.pb_msg = getattr(self.PROTO_TYPES_MODULE, type(self).__name__)(*values, **fields)
            except (AttributeError, TypeError, ValueError):  # a value that dbt converts
                make(self, *values, **fields)
        message = self.__dict__["pb_msg"]
        return message if name == "pb_msg" else getattr(message, name)

    def fire_if_read(
        self: EventManager, e: BaseEvent, level: EventLevel | None = None, *values: Any, **settings: Any
    ) -> None:
        is_read = self.loggers or any(callback.__name__ != OWN_CALLBACK for callback in self.callbacks)
        if is_read or (level or e.level_tag()) not in QUIET_LEVELS:
            fire(self, e, level, *values, **settings)

    setattr(BaseEvent, "__init__", begin)  # noqa: B010 (as above)
    setattr(BaseEvent, "__getattr__", read)  # noqa: B010 (as above)
    setattr(EventManager, "fire_event", fire_if_read)  # noqa: B010 (as above)
    setattr(event_manager, "msg_from_base_event", _message_of)  # noqa: B010 (as above)


def _message_of(event: BaseEvent, level: EventLevel | None = None) -> Any:
    """What dbt's `msg_from_base_event` returns, without the detour over a dict."""
    message = getattr(event.PROTO_TYPES_MODULE, f"{type(event).__name__}Msg")()
    info = message.info
    info.level = (level or event.level_tag()).value
    info.msg = event.message()
    info.invocation_id = get_invocation_id()
    info.extra.update(get_global_metadata_vars())
    info.ts.FromJsonString(get_json_string_utcnow())
    info.pid = get_pid()
    info.thread = get_thread_name()
    info.code = event.code()
    info.name = type(event).__name__
    message.data.CopyFrom(event.pb_msg)
    return message


def _remember_plugins() -> None:
    """Let dbt look once for its plugins: at each invocation it lists all modules that could be imported."""
    setattr(PluginManager, "get_prefixed_modules", cache(PluginManager.get_prefixed_modules))  # noqa: B010 (as above)


def _remember_type_testers() -> None:
    """Let dbt guess the types of a result's columns with what it guessed the last result's with.

    It makes five parsers of dates for each result that it fetches. They have state: each thread has its own.
    """
    build, known = agate_helper.build_type_tester, local()

    def remembering(text_columns: Any, string_null_values: Any = ("null", "")) -> Any:
        key = (frozenset(text_columns), tuple(string_null_values))
        testers = known.__dict__.setdefault("testers", {})
        if key not in testers:
            testers[key] = build(text_columns, string_null_values)
        return testers[key]

    agate_helper.build_type_tester = remembering
    agate_helper.empty_table = cache(agate_helper.empty_table)


@dataclass(frozen=True)
class _Parsed:
    """A project that dbt has parsed, and what it was parsed of."""

    manifest: Any
    files: frozenset[tuple[str, int]]
    variables: dict[str, str | None]


def _remember_projects() -> None:
    """Let dbt take the manifest that it made of the same files before: parsing is a third of a small run."""
    parse, known = manifest.parse_manifest, OrderedDict[str, _Parsed]()

    def remembering(config: Any, write_perf_info: bool, write: bool, write_json: bool, integrations: list[Any]) -> Any:
        place = repr((config.project_root, config.target_name, config.credentials.to_dict(), config.cli_vars))
        files = frozenset(_files(config))
        found = known.get(place)
        if found is None or found.files != files or any(os.environ.get(k) != v for k, v in found.variables.items()):
            parsed = parse(config, write_perf_info, write, write_json, integrations)
            variables = {name: os.environ.get(name) for name in parsed.env_vars if not name.startswith(OWN)}
            known[place] = _Parsed(parsed, files, variables)
            while len(known) > MOST_PROJECTS:
                known.popitem(last=False)
            return parsed
        register_adapter(config, get_mp_context())
        adapter: Any = get_adapter(config)
        adapter.set_macro_context_generator(generate_runtime_macro_context)
        adapter.set_macro_resolver(found.manifest)
        adapter.connections.set_query_header(generate_query_header_context(adapter.config, found.manifest))
        return found.manifest

    setattr(requires, "parse_manifest", remembering)  # noqa: B010 (as above)


def _files(config: Any) -> Iterator[tuple[str, int]]:
    """The files of a project and of its packages, each with the time at which it was written."""
    for project in config.load_dependencies().values():
        root = Path(project.project_root)
        yield from ((str(file), file.stat().st_mtime_ns) for file in root.glob("*.yml"))
        for folder in {*project.all_source_paths, *project.macro_paths}:
            yield from ((str(file), file.stat().st_mtime_ns) for file in (root / folder).rglob("*.*"))
