"""What a file of control rows may leave out or write shorter, put into the long form of the rows.

| in a file | row |
| --- | --- |
| `table: dwh.dim_airport`, or `schema: dwh` and `table: dim_airport` | `target_schema`, `target_table` (source alike) |
| `transformations:` of a pipeline's row | rows with its `pipeline_id` |
| `dependencies: lake.flights`, or a list of names | one dependency each; the only one that can drive does |
| `copy: lake.flights` | no `sql_path`; reads that table alone |
| no `sql_path` | `transformations/<target_table>.sql` |
| one word where a list of words belongs | a list of one |
| `column_list: {id: bigint}` | `[{name: id, type: bigint}]` |
| a source with a `location`, or without | `kind: lake`, or `kind: warehouse` |
| a pipeline without `pipeline_name` or `template` | its id, and `lake_to_warehouse` |
| a target of a materialized view's pipeline | `load_type: scd1`, `increment: full` |
| `defaults:` of the file, or of `defaults.yml` in its folder or one above | values of all its rows |

Control tables, audit and export know the long form only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel

from metadata_sync.control.yaml_source import YamlItem
from metadata_sync.problems import Problem, did_you_mean
from metadata_sync.rows.model import ControlRow, Dependency, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.vocabulary import Increment, LoadType, SourceKind, Template

SECTIONS: Final[Mapping[str, type[ControlRow]]] = {
    "sources": SourceRow,
    "pipelines": PipelineRow,
    "transformations": TransformationRow,
}
"""Top-level keys of a file and the rows under them."""

DEFAULTS: Final = "defaults"
OVERRIDES: Final = "environments"
"""Key of a row that holds values for single environments: `environments: {stage: {is_active: false}}`."""

SELECT_FOLDER: Final = "transformations"

Values = dict[str, YamlItem]
Defaults = Mapping[str, Mapping[str, YamlItem]]
"""Section → column → value that its rows have unless they say otherwise."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A row of a file in the long form.

    Attributes:
        section: The section that it belongs to.
        item: Its columns; what is not a mapping is left as it is.
        problems: What is wrong with the short forms that it uses, each with its column.
    """

    section: str
    item: YamlItem
    problems: tuple[tuple[str, Problem], ...] = ()


@dataclass(frozen=True, slots=True)
class Misplaced:
    """Something of a file that belongs to no row: a section or a default that does not exist."""

    item: YamlItem
    key: str
    problem: Problem


@dataclass
class Document:
    """What one file declares.

    Attributes:
        rows: Its rows, those nested in pipelines included.
        misplaced: Faults of the file as a whole.
    """

    rows: list[Declared] = field(default_factory=list)
    misplaced: list[Misplaced] = field(default_factory=list)


def expand(document: YamlItem, inherited: Defaults) -> Document:
    """Put the rows of a file into the long form.

    Args:
        document: The file's content, a mapping.
        inherited: Defaults of its folders.

    Returns:
        Its rows in their order, and what is wrong with the file as a whole.
    """
    found = Document()
    defaults = merged_defaults(inherited, own_defaults(document, found))
    for section, items in document.value.items():
        if section == DEFAULTS:
            continue
        problem = _section_problem(section, items)
        if problem is not None:
            found.misplaced.append(Misplaced(items, section, problem))
            continue
        for item in items.value or ():
            found.rows += _rows(section, item, defaults)
    return found


def own_defaults(document: YamlItem, found: Document) -> Defaults:
    """Return the `defaults:` of a file; what is wrong with them is added to what was found."""
    block = document.value.get(DEFAULTS)
    if block is None or block.value is None:
        return {}
    shape = "Write `defaults: {transformations: {load_type: scd1}}`."
    if not isinstance(block.value, dict):
        found.misplaced.append(Misplaced(block, DEFAULTS, Problem("wrong_type", "Is not a mapping.", shape)))
        return {}
    defaults: dict[str, Values] = {}
    found.misplaced += _repeated(block, *block.value.values())
    for section, values in block.value.items():
        problem = None
        if section not in SECTIONS:
            remedy = did_you_mean(section, SECTIONS) or f"Defaults are of: {', '.join(SECTIONS)}."
            problem = Problem("unknown_key", "There is no such section.", remedy)
        elif not isinstance(values.value, dict):
            problem = Problem("wrong_type", "Is not a mapping.", shape)
        elif {OVERRIDES, "transformations"} & values.value.keys():
            problem = Problem("not_a_default", "Only a row can hold other rows or environments.", "Write it there.")
        if problem is None:
            defaults[section] = _spelled(section, dict(values.value))
        else:
            found.misplaced.append(Misplaced(values, f"{DEFAULTS}.{section}", problem))
    return defaults


def _repeated(*mappings: YamlItem) -> Iterator[Misplaced]:
    for item in mappings:
        for key, line in item.duplicates:
            yield Misplaced(
                replace(item, line=line), key, Problem("duplicate_key", "The key is used twice.", "Keep one.")
            )


def merged_defaults(outer: Defaults, inner: Defaults) -> Defaults:
    """Return defaults of which the inner ones win, column by column."""
    return {section: {**outer.get(section, {}), **inner.get(section, {})} for section in SECTIONS}


def of_views(rows: Sequence[Declared]) -> list[Declared]:
    """Write down what materialized views cannot have otherwise, once the pipelines of all files are known."""
    views = {
        plain.get("pipeline_id")
        for row in rows
        if row.section == "pipelines" and isinstance(plain := row.item.plain, dict)
        if plain.get("template") == Template.MATERIALIZED_VIEW
    }
    return [_of_view(row) if _pipeline_of(row) in views else row for row in rows]


def _pipeline_of(row: Declared) -> Any:
    is_target = row.section == "transformations" and isinstance(row.item.value, dict)
    pipeline = row.item.value.get("pipeline_id") if is_target else None
    return pipeline.plain if pipeline is not None and isinstance(pipeline.value, str) else None


def _of_view(row: Declared) -> Declared:
    forced = {"load_type": LoadType.SCD1.value, "increment": Increment.FULL.value}
    written = {column: YamlItem(value, row.item.line) for column, value in forced.items()}
    return replace(row, item=replace(row.item, value={**written, **row.item.value}))


def _section_problem(section: str, items: YamlItem) -> Problem | None:
    if section not in SECTIONS:
        known = (*SECTIONS, DEFAULTS)
        return Problem(
            "unknown_key",
            "There is no such section.",
            did_you_mean(section, known) or f"A file holds: {', '.join(known)}.",
        )
    if not isinstance(items.value, list | None):
        return Problem("wrong_type", "Is not a list of rows.", "Begin each row with '- '.")
    return None


def _rows(section: str, item: YamlItem, defaults: Defaults) -> Iterator[Declared]:
    """Yield a row, and the transformations that are nested in it."""
    if not isinstance(item.value, dict):
        yield Declared(section, item)
        return
    values = dict(item.value)
    nested = values.pop("transformations", None) if section == "pipelines" else None
    row = _row(section, replace(item, value=values), defaults.get(section, {}))
    if nested is not None and not isinstance(nested.value, list | None):
        problem = Problem("wrong_type", "Is not a list of rows.", "Begin each row with '- '.")
        row = replace(row, problems=(*row.problems, ("transformations", problem)))
        nested = None
    yield row
    pipeline = row.item.value.get("pipeline_id")
    inherited = {**defaults.get("transformations", {}), **({"pipeline_id": pipeline} if pipeline else {})}
    for child in nested.value or () if nested is not None else ():
        yield from _rows("transformations", child, {**defaults, "transformations": inherited})


def _row(section: str, item: YamlItem, defaults: Mapping[str, YamlItem]) -> Declared:
    problems = list(_spelled_twice(section, item.value))
    long_names = {f"target_{name}" for name, _ in problems}
    written = {name: value for name, value in item.value.items() if name not in long_names}
    values = {**defaults, **_spelled(section, written)}
    if section == "sources":
        kind = SourceKind.LAKE if {"location", "format"} & values.keys() else SourceKind.WAREHOUSE
        values.setdefault("kind", YamlItem(kind.value, item.line))
    elif section == "pipelines":
        if "pipeline_id" in values:
            values.setdefault("pipeline_name", values["pipeline_id"])
        values.setdefault("template", YamlItem(Template.LAKE_TO_WAREHOUSE.value, item.line))
    else:
        problems += _select(values, item.line)
    overrides = values.get(OVERRIDES)
    if overrides is not None and isinstance(overrides.value, dict):
        layers = {}
        for environment, layer in overrides.value.items():
            own = dict(layer.value) if isinstance(layer.value, dict) else {}
            problems += _drive(own)
            layers[environment] = replace(layer, value=_listed(section, own)) if own else layer
        values[OVERRIDES] = replace(overrides, value=layers)
    return Declared(section, replace(item, value=_listed(section, values)), tuple(problems))


def _spelled(section: str, given: Values) -> Values:
    """Return values under the names of the row's columns, of which a table's name has two."""
    values = dict(given)
    prefix = {"transformations": "target_", "sources": ""}.get(section)
    if prefix is None:
        return values
    table = values.get("table")
    if table is not None and isinstance(table.value, str) and not values.keys() & {"schema", "target_schema"}:
        schema, dot, name = table.value.rpartition(".")
        values |= {"schema": replace(table, value=schema), "table": replace(table, value=name)} if dot else {}
    spelled = {name: f"{prefix}{name}" for name in ("schema", "table") if f"{prefix}{name}" not in given}
    return {spelled.get(name, name): value for name, value in values.items()}


def _spelled_twice(section: str, given: Values) -> Iterator[tuple[str, Problem]]:
    """Yield the short names of columns that a row names by their long ones, too."""
    for name in ("schema", "table") if section == "transformations" else ():
        if {name, f"target_{name}"} <= given.keys():
            yield name, Problem("duplicate_key", f"The row has target_{name}, too, which is the same.", "Keep one.")


def _select(values: Values, line: int) -> Iterator[tuple[str, Problem]]:
    """Fill in where the SELECT is, and what it reads."""
    copied = values.get("copy")
    if copied is not None and not isinstance(copied.value, str | None):
        yield "copy", Problem("wrong_type", "Is not the name of a table.", "Write copy: schema.table")
        values["copy"] = replace(copied, value=None)
    elif copied is not None and copied.value is not None:
        values.setdefault("dependencies", replace(copied, value=[copied]))
    elif "target_table" in values:
        path = f"{SELECT_FOLDER}/{values['target_table'].plain}.sql"
        values.setdefault("sql_path", YamlItem(path, line))
    yield from _drive(values)


def _drive(values: Values) -> Iterator[tuple[str, Problem]]:
    """Write each dependency as a mapping, and say which are driving."""
    given = values.get("dependencies")
    if given is None or given.value is None:
        return
    listed = given.value if isinstance(given.value, list) else [given]
    items = [_dependency(item) for item in listed]
    values["dependencies"] = replace(given, value=items)
    if not all(isinstance(item.value, dict) for item in items):
        return
    unsaid = [number for number, item in enumerate(items) if "driving" not in item.value]
    if len(unsaid) > 1 and not any(_says_driving(item) for item in items):
        message = f"Which of the {len(unsaid)} tables brings new rows is not said."
        remedy = "Write `{table: …, driving: true}` for it; the others are lookups then."
        yield "dependencies", Problem("missing_value", message, remedy)
        unsaid = unsaid[:1]  # one fault is enough: as if the first were it
        items = [
            replace(item, value={"driving": YamlItem(value=False, line=item.line), **item.value}) for item in items
        ]
    driving = not any(_says_driving(item) for item in items)
    for number in unsaid:
        said = {**items[number].value, "driving": YamlItem(driving, items[number].line)}
        items[number] = replace(items[number], value=said)
    values["dependencies"] = replace(given, value=items)


def _dependency(item: YamlItem) -> YamlItem:
    if isinstance(item.value, str):
        return replace(item, value={"table": item})
    return replace(item, value=_words(item.value, _DEPENDENCY_LISTS)) if isinstance(item.value, dict) else item


def _says_driving(item: YamlItem) -> bool:
    said = item.value.get("driving")
    return said is not None and said.plain is True


def _listed(section: str, values: Values) -> Values:
    """Return values in which one word is a list of one where the column holds a list of words."""
    listed = _words(values, _WORD_LISTS[section])
    columns = listed.get("column_list")
    if section == "transformations" and columns is not None and isinstance(columns.value, dict):
        listed["column_list"] = replace(columns, value=[_column(*pair) for pair in columns.value.items()])
    return listed


def _words(values: Values, columns: frozenset[str]) -> Values:
    return {
        name: replace(item, value=[item]) if name in columns and _is_word(item.value) else item
        for name, item in values.items()
    }


def _is_word(value: Any) -> bool:
    """Tell whether a value is one word, and not a list whose brackets are missing."""
    return isinstance(value, str) and not re.search(r"[,;\s]", value.strip())


def _column(name: str, given: YamlItem) -> YamlItem:
    rest = given.value if isinstance(given.value, dict) else {"type": given}
    return replace(given, value={"name": YamlItem(name, given.line), **rest})


def _word_lists(row_type: type[BaseModel]) -> frozenset[str]:
    return frozenset(
        info.alias or name
        for name, info in row_type.model_fields.items()
        if get_origin(info.annotation) is tuple and get_args(info.annotation)[0] is str
    )


_DEPENDENCY_LISTS: Final = _word_lists(Dependency)
_WORD_LISTS: Final = {section: _word_lists(row_type) for section, row_type in SECTIONS.items()}
