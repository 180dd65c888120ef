"""Compares a project with the installed package: what requirements.txt asks for, and which macros dbt reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from flows.dbt.package import package_dir, package_link, package_version
from flows.doctor.finding import CheckFinding, Level
from metadata_sync.project import Project

DISTRIBUTION: Final = "sluice-data"


def compare_versions(project: Project) -> Iterator[CheckFinding]:
    """Compare the versions of project and package; a project that names no version gets no finding for it."""
    installed = version(DISTRIBUTION)
    wanted = _requirement(project)
    if wanted is not None:
        fits = wanted.specifier.contains(installed, prereleases=True)
        yield CheckFinding(
            "sluice version",
            Level.OK if fits else Level.FAIL,
            f"requirements.txt asks for {wanted}, installed is {installed}",
            "" if fits else "pip install -U -r requirements.txt",
        )
    link = package_link(project)
    if link is None:
        return
    found, own = package_version(link), package_version(package_dir())
    if found is None:
        yield CheckFinding(
            "macros", Level.OK, f"the package's {own}, not linked yet: the next `sluice sync` or run does it"
        )
    elif found == own and (not link.is_symlink() or link.resolve() == package_dir().resolve()):
        yield CheckFinding("macros", Level.OK, f"the package's {own}")
    elif link.is_symlink():
        yield CheckFinding("macros", Level.WARN, f"{link} leads to {found} of another environment", "sluice sync")
    else:
        remedy = f"Remove {link}, and its entry in packages.yml: the package brings its macros."
        yield CheckFinding("macros", Level.FAIL, f"{link} holds {found}, the package {own}", remedy)


def _requirement(project: Project) -> Requirement | None:
    with suppress(OSError, UnicodeDecodeError):
        for line in (project.root / "requirements.txt").read_text(encoding="utf-8").splitlines():
            with suppress(InvalidRequirement):
                requirement = Requirement(re.split(r"\s#|\s--", line, maxsplit=1)[0].strip())
                if requirement.name.lower().replace("_", "-") == DISTRIBUTION:
                    return requirement
    return None
