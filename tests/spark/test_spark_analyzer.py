"""Validate asks Spark's own analyzer about SELECTs, over empty tables, before a cluster is paid for."""

from __future__ import annotations

from flows.spark.analyzer import ask_spark
from flows.spark.settings import SparkSettings
from metadata_sync.analysis.spark import SparkSelect

SCHEMAS = {"lake__t": (("i", "INT"), ("a`b", "TIMESTAMP_NTZ"))}


def _select(sql: str) -> SparkSelect:
    return SparkSelect(sql, (), (), schemas=SCHEMAS)


def test_each_select_is_planned_and_one_refusal_stops_itself() -> None:
    answers = ask_spark(
        {
            "a.good": _select("SELECT t.i, t.`a``b` FROM lake__t AS t"),
            "a.unknown": _select("SELECT t.j FROM lake__t AS t"),
            "a.unplanned": _select("SELECT row_number() OVER () AS x FROM lake__t AS t"),
            "a.syntax": _select("SELECT (i FROM lake__t"),
        },
        SparkSettings(local_cores=2),
    )

    assert answers["a.good"] is None
    assert "`t`.`j`" in str(answers["a.unknown"])
    assert "row_number" in str(answers["a.unplanned"])
    assert "PARSE_SYNTAX_ERROR" in str(answers["a.syntax"])
