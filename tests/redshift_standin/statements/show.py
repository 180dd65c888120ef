"""SHOW: what dbt asks for metadata by with `datasharing: true`."""

from __future__ import annotations

import re

from tests.redshift_standin.errors import not_known
from tests.redshift_standin.expressions.names import literal

SHOWING = re.compile(r"show\s+(schemas|tables|columns|grants)\b", re.IGNORECASE)
PART = r'(?:"[^"]+"|\w+)'
FORMS = {
    "show_schemas": re.compile(rf"show\s+schemas\s+from\s+database\s+({PART})", re.IGNORECASE),
    "show_tables": re.compile(rf"show\s+tables\s+from\s+schema\s+({PART})\.({PART})", re.IGNORECASE),
    "show_columns": re.compile(rf"show\s+columns\s+from\s+table\s+({PART})\.({PART})\.({PART})", re.IGNORECASE),
    "show_grants": re.compile(rf"show\s+grants\s+on\s+table\s+({PART})\.({PART})\.({PART})", re.IGNORECASE),
}
LIKE = re.compile(r"\s+like\s+'([^']*)'\s*$", re.IGNORECASE)


def show_query(text: str) -> str:
    """A SHOW as a query of catalog.sql's functions.

    Raises:
        RedshiftError: When it is of another form.
    """
    like = LIKE.search(text)
    plain = LIKE.sub("", text).strip()
    for function, form in FORMS.items():
        match = form.fullmatch(plain)
        if match and (like is None or function in ("show_schemas", "show_tables")):
            arguments = [literal(part.strip('"').lower()) for part in match.groups()]
            if function in ("show_schemas", "show_tables"):
                arguments.append(literal(like[1]) if like else "null")
            return f"select * from rs_catalog.{function}({', '.join(arguments)})"
    raise not_known(text[:80])
