"""Values of JSON texts, as text: by functions of Sluice's own, which read and write JSON as the warehouse does."""

from __future__ import annotations

import json
import re
from typing import Final

from sqlglot import exp

from metadata_sync.sql.spark.expressions import Expressions, rule, rule_of_call
from metadata_sync.sql.spark.kinds import BOOLEAN, VARCHAR
from metadata_sync.sql.spark.value import Refusal, Value, call, spark

FUNCTIONS_PREFIX: Final = "sluice_json"
"""Beginning of the names of the functions; `flows/spark/spark_functions.py` holds them."""
_STEP: Final = re.compile(r"\.([\w :-]+)|\.\"([^\"\\*]+)\"|\[(?:#?(-[1-9][0-9]{0,8})|([0-9]{1,9}))\]")
_PATH_REMEDY: Final = "Write keys and places, e.g. '$.order.lines[0].\"unit price\"'."


@rule(exp.JSONExtractScalar, args="this expression only_json_types scalar_only")
def _text_at(self: Expressions, node: exp.Expr) -> Value:
    return Value(_looked_up(self, node, []), VARCHAR)


def _looked_up(self: Expressions, node: exp.Expr, below: list[str | int]) -> exp.Expr:
    """Look a path up; `a -> b ->> c` is one path."""
    _check_place(self, node)
    path = [*_steps(node.expression, node), *below]
    inner = node.this.unnest()
    if isinstance(inner, exp.JSONExtract):
        return _looked_up(self, inner, path)
    found = call("sluice_json", _document(self, inner), json.dumps(path, ensure_ascii=False))
    return spark(
        "if(startswith({x}, 'e'), raise_error('Malformed JSON'), substring({x}, 2))",
        x=found,
    )


def _check_place(self: Expressions, node: exp.Expr) -> None:
    if self.dialect != "duckdb":
        raise Refusal(node, "reads JSON, which was compared with DuckDB's only", "Yield the value in a source.")
    if self.place.name == "ON":
        raise Refusal(node, "reads JSON in ON, where Spark does not take it", "Yield the value in a subquery first.")


def _document(self: Expressions, node: exp.Expr) -> exp.Expr:
    """Translate a JSON text; a cast to JSON changes nothing: what reads it checks it, too."""
    node = node.unnest()
    while isinstance(node, exp.ParseJSON) or (isinstance(node, exp.Cast) and node.args["to"].is_type("json")):
        node = node.this.unnest()
    return self.as_kind(node, VARCHAR)


def _steps(path: exp.Expr, node: exp.Expr) -> list[str | int]:
    """Return the keys and places of a path: a text without `$` is one key, a number is a place."""
    sign = -1 if isinstance(path, exp.Neg) else 1
    literal = path.this if isinstance(path, exp.Neg) else path
    if not isinstance(literal, exp.Literal):
        raise Refusal(node, "reads JSON by a path that is not written out", _PATH_REMEDY)
    text = str(literal.this)
    if not literal.is_string:
        if not text.isdigit():
            raise Refusal(node, "reads JSON by a number that is not whole", _PATH_REMEDY)
        return [sign * int(text)]
    if not text.startswith(("$", "/")) and text:
        return [text]
    return _parts(text, node)


def _parts(text: str, node: exp.Expr) -> list[str | int]:
    found: list[str | int] = []
    place = 1
    while place < len(text):
        step = _STEP.match(text, place)
        if step is None or not text.startswith("$"):
            raise Refusal(node, f"reads JSON by the path {text}, which was not compared", _PATH_REMEDY)
        plain, quoted, back, index = step.groups()
        found.append(plain or quoted or int(back or index))
        place = step.end()
    return found


@rule_of_call("json_valid")
def _is_valid(self: Expressions, node: exp.Expr) -> Value:
    _check_place(self, node)
    if len(node.expressions) != 1:
        raise Refusal(node, "takes one text", "Write json_valid(…).")
    return Value(call("sluice_json_valid", self.as_kind(node.expressions[0], VARCHAR)), BOOLEAN)
