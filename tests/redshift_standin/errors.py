"""What the stand-in says instead of an answer."""

from __future__ import annotations


class RedshiftError(Exception):
    """An error as Redshift reports it.

    Attributes:
        code: SQLSTATE.
        message: Redshift's wording where it is known.
        detail: Further text of the wire's D field.
    """

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail


def not_known(what: str) -> RedshiftError:
    """Refuse what the stand-in does not imitate: it never passes such a statement on."""
    return RedshiftError("0A000", f"the Redshift stand-in does not know {what}")
