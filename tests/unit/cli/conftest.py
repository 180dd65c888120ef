"""An empty project whose control folder exists."""

from __future__ import annotations

from control_support import project

__all__ = ["project"]
