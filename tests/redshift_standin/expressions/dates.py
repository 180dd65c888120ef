"""Dates and times: the names of their parts, and the functions that take one.

Source: https://docs.aws.amazon.com/redshift/latest/dg/r_Dateparts_for_datetime_functions.html
"""

from __future__ import annotations

from sqlglot import exp

from tests.redshift_standin.errors import RedshiftError

_NAMES = {
    "millennium": "millennia mil mils",
    "century": "centuries c cent cents",
    "decade": "decades dec decs",
    "epoch": "",
    "year": "years y yr yrs",
    "quarter": "quarters qtr qtrs",
    "month": "months mon mons",
    "week": "weeks w",
    "dow": "dayofweek dw weekday",
    "doy": "dayofyear dy yearday",
    "day": "days d",
    "hour": "hours h hr hrs",
    "minute": "minutes m min mins",
    "second": "seconds s sec secs",
    "millisecond": "ms msec msecs msecond mseconds millisec millisecs millisecon milliseconds",
    "microsecond": "us usec usecs microsec microsecs microsecon microseconds useconds usecond",
    "timezone": "",
    "timezone_hour": "",
    "timezone_minute": "",
}
PARTS = {word: name for name, words in _NAMES.items() for word in (name, *words.split())}
DATE_FUNCTIONS = {
    "dateadd": "dateadd",
    "date_add": "dateadd",
    "datediff": "datediff",
    "date_diff": "datediff",
    "date_part": "date_part",
    "pgdate_part": "date_part",
    "date_trunc": "date_trunc",
}
WITHIN_SECOND = {"millisecond": 1_000, "microsecond": 1_000_000}


def part_of(node: exp.Expr) -> str:
    """The name of a part as PostgreSQL writes it.

    Raises:
        RedshiftError: When Redshift has no such part.
    """
    name = node.name.lower()
    if name not in PARTS:
        raise RedshiftError("22023", f'date part "{name}" not recognized')
    return PARTS[name]


def rewrite_date(node: exp.Anonymous, name: str) -> exp.Expr:
    """A function whose first argument is a part of a date."""
    first, *rest = node.expressions
    if not isinstance(first, exp.Column | exp.Var | exp.Literal):
        return node
    part = part_of(first)
    if DATE_FUNCTIONS[name] == "date_part" and part in WITHIN_SECOND:
        return exp.cast(_within_second(part, rest[0]), "double precision")
    typed = [_typed(value) for value in rest]
    return exp.Anonymous(this=DATE_FUNCTIONS[name], expressions=[exp.Literal.string(part), *typed])


def extract(node: exp.Expr) -> exp.Expr:
    """EXTRACT is a whole number (r_EXTRACT_function.html)."""
    part, value = part_of(node.this), node.expression
    if part in WITHIN_SECOND:
        return exp.cast(_within_second(part, value), "int")
    found = exp.Anonymous(this="date_part", expressions=[exp.Literal.string(part), value.copy()])
    return exp.cast(exp.Floor(this=found), "bigint" if part == "epoch" else "int")


def truncate(node: exp.Expr) -> exp.Expr:
    """DATE_TRUNC of a date is a timestamp (r_DATE_TRUNC.html)."""
    part = exp.Literal.string(part_of(node.args["unit"]))
    return exp.Anonymous(this="date_trunc", expressions=[part, _typed(node.this)])


def _typed(value: exp.Expr) -> exp.Expr:
    """A literal is a timestamp without a time zone; PostgreSQL would take it for one with."""
    return exp.cast(value.copy(), "timestamp") if isinstance(value, exp.Literal) and value.is_string else value.copy()


def _within_second(part: str, value: exp.Expr) -> exp.Expr:
    """Milliseconds and microseconds without the seconds, which PostgreSQL adds."""
    found = exp.Anonymous(this="date_part", expressions=[exp.Literal.string(part), value.copy()])
    rest = exp.Mod(this=exp.cast(found, "decimal"), expression=exp.Literal.number(WITHIN_SECOND[part]))
    return exp.Floor(this=rest)
