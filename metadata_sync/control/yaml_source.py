"""YAML with line numbers, safe for untrusted input: no tags, no alias bombs, duplicate keys are reported.

Aliases and merge keys work as in YAML 1.1, with a limit of nodes, so that nested aliases cannot exhaust the memory.

PyYAML's nodes are read, not ruamel.yaml's round trip. That one takes six times as long, reads `yes` and `017` as YAML
1.2 does, and stops at the first duplicate key; the limits would have to be checked here all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

MAX_BYTES: Final = 5_000_000
MAX_DEPTH: Final = 40
MAX_NODES: Final = 500_000

_PLAIN_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "timestamp", "seq", "map", "value")
)
_MERGE_TAG: Final = "tag:yaml.org,2002:merge"


class YamlError(Exception):
    """Text that is not usable YAML.

    Args:
        line: The line, from 1.
        message: What is wrong, one sentence.
        remedy: What to do about it.
        rule: Machine-readable name.
    """

    def __init__(self, line: int, message: str, remedy: str, rule: str = "yaml_syntax") -> None:
        super().__init__(message)
        self.line = line
        self.message = message
        self.remedy = remedy
        self.rule = rule


@dataclass(frozen=True, slots=True)
class YamlItem:
    """A value of a YAML file with its line.

    Attributes:
        value: A dict of `YamlItem` by key, a list of `YamlItem`, or a plain scalar.
        line: Line of its first character, from 1.
        duplicates: Keys that a mapping holds more than once, with the line of the later one.
        file: The file of that line, when it is not the file that is read: of a default of its folder.
    """

    value: Any
    line: int
    duplicates: tuple[tuple[str, int], ...] = ()
    file: str | None = None

    @property
    def plain(self) -> Any:
        """The value without line numbers."""
        if isinstance(self.value, dict):
            return {key: item.plain for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain for item in self.value]
        return self.value


def read_yaml(path: Path) -> YamlItem | None:
    """Read one YAML document; None when the file holds nothing.

    Raises:
        YamlError: When it cannot be read, is not YAML, or exceeds a limit.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise YamlError(1, f"The file is larger than {MAX_BYTES} bytes.", "Split it into several files.", "too_big")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise YamlError(1, f"The file cannot be read: {error.strerror}.", "Correct its path or permissions.") from error
    except UnicodeDecodeError as error:
        raise YamlError(1, "The file is not UTF-8 text.", "Save it as UTF-8.", "encoding") from error
    return parse_yaml(text)


def parse_yaml(text: str) -> YamlItem | None:
    """Parse one YAML document; None when the text holds nothing.

    Raises:
        YamlError: When it is not YAML, or exceeds a limit.
    """
    try:
        _check_depth(text)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _syntax_error(error) from error
    return None if node is None else _YamlReader().read(node)


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the text is parsed recursively."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = _line_of(event)
            raise YamlError(line, f"Nested more than {MAX_DEPTH} deep.", "Rows are flat: simplify it.", "too_deep")


class _YamlReader:
    """Converts nodes to items and counts them; an alias counts as much as its content."""

    def __init__(self) -> None:
        self._count = 0
        self._open: set[int] = set()
        self._scalars = yaml.constructor.SafeConstructor()

    def read(self, node: yaml.Node) -> YamlItem:
        line = _line_of(node)
        self._count += 1
        if self._count > MAX_NODES:
            raise YamlError(line, "Aliases expand to too many values.", "Write the values out.", "too_many_values")
        if node.tag not in _PLAIN_TAGS:
            raise YamlError(line, f"The tag {node.tag!r} is not allowed.", "Remove the tag.", "yaml_tag")
        if id(node) in self._open:
            raise YamlError(line, "An alias contains itself.", "Write the value out.", "yaml_recursion")
        self._open.add(id(node))
        try:
            return self._read_content(node, line)
        finally:
            self._open.discard(id(node))

    def _read_content(self, node: yaml.Node, line: int) -> YamlItem:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, line)
        if isinstance(node, yaml.SequenceNode):
            return YamlItem([self.read(child) for child in node.value], line)
        return YamlItem(self._scalar(node, line), line)

    def _scalar(self, node: yaml.Node, line: int) -> Any:
        try:
            return self._scalars.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError) as error:
            raise YamlError(line, f"Cannot be read as a value: {error}.", "Put the value in quotes.") from error

    def _mapping(self, node: yaml.MappingNode, line: int) -> YamlItem:
        merged: dict[str, YamlItem] = {}
        own: dict[str, YamlItem] = {}
        duplicates: list[tuple[str, int]] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE_TAG:
                for base in self._merge(value_node):
                    merged = {**base, **merged}
                continue
            key = self._key(key_node)
            if key in own:
                duplicates.append((key, _line_of(key_node)))
            own[key] = self.read(value_node)
        return YamlItem({**merged, **own}, line, tuple(duplicates))

    def _merge(self, node: yaml.Node) -> Iterator[dict[str, YamlItem]]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            item = self.read(part)
            if not isinstance(item.value, dict):
                raise YamlError(item.line, "'<<' takes a mapping.", "Point it at an anchor of a mapping.")
            yield item.value

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            line = _line_of(node)
            raise YamlError(line, "A key must be a word.", "Write `name: value`; quote text that contains braces.")
        return str(node.value)


def _line_of(part: yaml.Node | yaml.Event) -> int:
    return part.start_mark.line + 1 if part.start_mark else 1


_NEAR: Final = "Correct this line or the one above it."
_SYNTAX: Final = (
    ("tab character", "A tab stands before the value.", "Indent with blanks."),
    (
        "cannot start any token",
        "A sign stands here that begins no value.",
        "Put the value in quotes; indent with blanks.",
    ),
    ("expected ',' or ']'", "A list is not closed: its ] is missing.", _NEAR),
    ("expected ',' or '}'", "A mapping is not closed: its } is missing, or a comma.", _NEAR),
    ("mapping values are not allowed", "A colon is one too many, or the line stands too far to the right.", _NEAR),
    (
        "expected key",
        "The line does not go on with what is above it.",
        "Indent it like the lines above, or begin it with '- '.",
    ),
    ("expected '-' indicator", "The line is no row of the list above.", "Begin it with '- ', or indent it further."),
    ("unexpected end of stream", "A quoted text is not closed.", "Add the missing quote."),
    (
        "could not find expected ':'",
        "A colon is missing after a key.",
        "Write key: value, with a blank after the colon.",
    ),
    ("undefined alias", "A value begins with *, which means a reference.", "Put the value in quotes."),
)
"""The parser's words, and what they mean for who wrote the file."""


def _syntax_error(error: yaml.YAMLError) -> YamlError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    line = mark.line + 1 if mark else 1
    for words, message, remedy in _SYNTAX:
        if words in problem:
            return YamlError(line, message, remedy)
    remedy = "Indent with blanks, and quote values that begin with one of * & ! % @ ` { [ or hold ': '."
    return YamlError(line, f"Is not YAML: {problem}.", remedy)
