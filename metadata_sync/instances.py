"""The EC2 instance types that clusters can be sized with: the names in the price list, the project's own or ours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from metadata_sync.project import Project

OWN_FILE: Final = "emr_instances.yml"
"""The project's own price list, in its root; without it the one beside this module is used."""

_SHIPPED: Final = Path(__file__).with_name("instances.yml")


def price_file(project: Project) -> Path:
    """Return the price list that counts in a project."""
    own = project.root / OWN_FILE
    return own if own.exists() else _SHIPPED


def instance_names(project: Project) -> frozenset[str]:
    """Return the instance types with a machine in the price list; empty when the file cannot be read.

    Args:
        project: The project.
    """
    import yaml

    try:
        document = yaml.safe_load(price_file(project).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):  # sizing names the fault of the file
        return frozenset()
    found = document.get("instances") if isinstance(document, dict) else None
    return frozenset(map(str, found)) if isinstance(found, dict) else frozenset()
