"""An empty project whose control folder exists."""

from __future__ import annotations

from tests.support.control_support import project

__all__ = ["project"]
