"""Write proposals as a control file, and SELECTs beside it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from flows.onboard.model import FORMAT_OPTIONS, Choice, ColumnFacts, Proposal
from metadata_sync.control.bundle import Bundle
from metadata_sync.control.json_schema import SCHEMA_FILE
from metadata_sync.control.shorthand import SELECT_FOLDER
from metadata_sync.errors import ConfigurationError, RequestError
from metadata_sync.rows.merge import RowId
from metadata_sync.rows.model import ControlRows

if TYPE_CHECKING:
    from flows.context import Context

_OF_SOURCE: Final = frozenset({FORMAT_OPTIONS, "incremental_key", "file_column", "on_removed_files"})
"""Choices that are written to the source's row, where there is one."""

_WIDE: Final = 10_000


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file to write.

    Attributes:
        path: Where.
        text: Its content.
    """

    path: Path
    text: str


def plan(context: Context, proposals: Sequence[Proposal], pipeline_id: str, bundle: Bundle) -> tuple[PlannedFile, ...]:
    """Return the files of proposals: one of rows, and the SELECTs that are not in the project yet.

    Args:
        context: The project.
        proposals: What was decided.
        pipeline_id: The pipeline of the targets; it is declared when the rows have none of that id.
        bundle: What the project's files declare.

    Raises:
        RequestError: When a row or file of that name is there already.
    """
    rows = bundle.rows
    for proposal in proposals:
        place = bundle.places.get(RowId("transformation_control", str(proposal.target)))
        if place is not None:
            message = f"{proposal.target} is declared at {place[None]}."
            raise RequestError(message, "Change that row, or choose another --schema.")
    name = pipeline_id if rows.pipeline(pipeline_id) is None else proposals[0].target.table
    path = _free(context.project.control_dir / f"{name}.yml")
    control = PlannedFile(path, control_text(proposals, pipeline_id, rows))
    selects = [file for proposal in proposals if (file := _select_file(context, proposal)) is not None]
    planned = (control, *selects)
    for file in planned:
        if file.path.exists():
            shown = file.path.relative_to(context.project.root)
            raise RequestError(
                f"{shown} exists already. Nothing was written.", "Choose another --pipeline, or move it."
            )
    return planned


def _free(path: Path) -> Path:
    """Return a path that no file has yet: with a number when its own name is taken."""
    number = 2
    found = path
    while found.exists():
        found = path.with_stem(f"{path.stem}_{number}")
        number += 1
    return found


def write(planned: Sequence[PlannedFile]) -> None:
    """Write files; none of them when one cannot be written.

    Raises:
        ConfigurationError: When a file cannot be written.
    """
    try:
        for file in planned:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.path.write_text(file.text, encoding="utf-8")
    except OSError as error:
        remove(planned)
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"{error.filename} cannot be written: {reason}.", "Make its folder writable."
        ) from error


def remove(planned: Iterable[PlannedFile]) -> None:
    """Remove files that were written, as far as they are as written."""
    for file in planned:
        with contextlib.suppress(OSError):
            if file.path.read_text(encoding="utf-8") == file.text:
                file.path.unlink()


def control_text(proposals: Sequence[Proposal], pipeline_id: str, rows: ControlRows) -> str:
    """Return the control rows of proposals as YAML, each setting with its confidence and evidence as a comment."""
    lines = [f"# yaml-language-server: $schema={SCHEMA_FILE}"]
    new = [proposal for proposal in proposals if _new_source(proposal, rows)]
    if new:
        lines.append("sources:")
        for proposal in new:
            lines += _block(_source_pairs(proposal), 2)
        lines.append("")
    if rows.pipeline(pipeline_id) is None:
        lines += ["pipelines:", f"  - pipeline_id: {pipeline_id}", "    transformations:"]
        indent = 6
    else:
        lines.append("transformations:")
        indent = 2
    for proposal in proposals:
        pairs = list(_target_pairs(proposal))
        if indent == 2:  # noqa: PLR2004
            pairs.insert(1, ("pipeline_id", pipeline_id, ""))
        lines += _block(pairs, indent)
    return "\n".join(lines) + "\n"


def _new_source(proposal: Proposal, rows: ControlRows) -> bool:
    source = proposal.offer.source
    return source is not None and rows.source(source.name) is None


_Pair = tuple[str, Any, str]


def _source_pairs(proposal: Proposal) -> Iterator[_Pair]:
    source = proposal.offer.source
    assert source is not None, "only sources have a row of their own"
    yield "table", str(source.name), ""
    if source.location is not None:
        yield "format", source.format, ""
        yield "location", source.location, ""
        if source.format != "parquet":
            yield "columns", _declared_columns(proposal), ""
    for choice in proposal.choices:
        if choice.setting in _OF_SOURCE and choice.value is not None:
            yield choice.setting, choice.value, _why(choice)


def _declared_columns(proposal: Proposal) -> dict[str, str]:
    """Return the columns of text as the source calls them."""
    renamed = proposal.offer.renamed
    return {renamed.get(column.name, column.name): _text_type(column) for column in proposal.facts.columns}


def _target_pairs(proposal: Proposal) -> Iterator[_Pair]:
    yield "table", str(proposal.target), ""
    source = proposal.offer.source
    if source is not None and not proposal.offer.select:
        yield "copy", str(source.name), ""
    for choice in proposal.choices:
        if choice.value is None or (source is not None and choice.setting in _OF_SOURCE):
            continue
        yield choice.setting, choice.value, _why(choice)


def _text_type(column: ColumnFacts) -> str:
    """Return the type to declare for a column of text; one without any value may hold anything."""
    return "varchar" if column.type.strip('"').upper() == "NULL" else column.type


def _why(choice: Choice) -> str:
    return f"{choice.confidence:.2f}: {choice.evidence}"


def _block(pairs: Iterable[_Pair], indent: int) -> Iterator[str]:
    for number, (name, value, why) in enumerate(pairs):
        lead = " " * indent + ("- " if not number else "  ")
        comment = f"  # {' '.join(why.split())}" if why else ""
        yield f"{lead}{name}: {_flow(value)}{comment}"


def _flow(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1 and re.fullmatch(r"\w+", str(value[0])):
        value = value[0]
    text = yaml.safe_dump(value, default_flow_style=True, width=_WIDE, allow_unicode=True, sort_keys=False).strip()
    return text.removesuffix("...").strip() if "\n" not in text.removesuffix("\n...") else json.dumps(value)


def _select_file(context: Context, proposal: Proposal) -> PlannedFile | None:
    if not proposal.offer.select:
        return None
    path = context.project.dbt_dir / SELECT_FOLDER / f"{proposal.target.table}.sql"
    if path.exists() and path.read_text(encoding="utf-8").strip() == proposal.offer.select.strip():
        return None
    return PlannedFile(path, proposal.offer.select)
