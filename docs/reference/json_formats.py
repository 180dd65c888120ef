"""Write json.md from json_formats.json; with a folder, first the latter from what tests recorded there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).parent
FORMATS = HERE / "json_formats.json"
PAGE = HERE / "json.md"

HEAD = """# JSON documents

With `--json` a command prints one document on stdout and nothing else there. Its first field names its format and
that format's version:

```json
{"json_format": "doctor/1", "findings": []}
```

Within a version fields may be added; one that goes or says something else needs the next version. Instants are ISO 8601
with their zone. `[]` stands for the items of a list, `*` for the name of a table, column or file as a key. A field with
*null* may be null, *any* is a value of a row. `sluice lint --format sarif` and the reports of `sluice ci` have formats
of others (SARIF, JUnit).

This page is made from what the tests of all commands print: a document with a field that is not listed fails them.
"""


def recorded(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Return the fields that processes recorded in a folder."""
    found: dict[str, dict[str, set[str]]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            fields = found.setdefault(entry["name"], {})
            for path, types in entry["fields"].items():
                fields.setdefault(path, set()).update(types)
    return {name: dict(_known(fields)) for name, fields in sorted(found.items())}


def _known(fields: Mapping[str, set[str]]) -> Iterator[tuple[str, list[str]]]:
    """Yield fields, without what only says that a list or an object was empty where others show what it holds."""
    for path, types in sorted(fields.items()):
        inside = (f"{path}.", f"{path}[]")
        left = types - {"nothing", "object"} if any(other.startswith(inside) for other in fields) else types
        left = left - {"nothing"} if len(left) > 1 else left
        if left:
            yield path, sorted(left)


def page(formats: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Return the page."""
    parts = [HEAD]
    for name, fields in formats.items():
        rows = [f"| `{path}` | {', '.join(types)} |" for path, types in fields.items() if path != "json_format"]
        parts.append("\n".join([f"## {name}", "", "| field | type |", "| --- | --- |", *rows, ""]))
    return "\n".join(parts)


def main() -> None:
    """Write the files."""
    if len(sys.argv) > 1:
        text = json.dumps(recorded(Path(sys.argv[1])), indent=1, ensure_ascii=False)
        FORMATS.write_text(f"{text}\n", encoding="utf-8")
    PAGE.write_text(page(json.loads(FORMATS.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
