"""Prints the steps of the demo and runs its commands as a user would type them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.markup import escape
from rich.table import Table

from flows.cli.output.console import out
from flows.demo.recap import Outcome, PlaneVersion
from metadata_sync.errors import RunError

_SLUICE: Final = Path(sys.executable).with_name("sluice")
_WIDTH_OF_PIPES: Final = "120"


@dataclass
class Narrator:
    """Numbers the steps and measures the time.

    Attributes:
        root: The project's folder, where commands run.
    """

    root: Path
    _began: float = field(default_factory=time.monotonic)
    _step: int = 0

    @property
    def seconds(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._began

    def step(self, title: str, *sentences: str) -> None:
        """Print the heading of a step and its explanation."""
        self._step += 1
        out.print(f"\n[bold cyan]{self._step}  {escape(title)}[/]", highlight=False)
        self.say(*sentences)

    def say(self, *sentences: str) -> None:
        """Print lines in the current step."""
        for sentence in sentences:
            out.print(f"   {escape(sentence)}", highlight=False)

    def sluice(self, *arguments: str) -> None:
        """Print a command and run it; its output is shown.

        Raises:
            RunError: When it fails; its own message gives the reason.
        """
        command = " ".join(arguments)
        out.print(f"   [bold]$ sluice {escape(command)}[/]", highlight=False)
        sys.stdout.flush()
        code = subprocess.run([_SLUICE, *arguments], cwd=self.root, env=_environment(), check=False).returncode  # noqa: S603 - our own command
        if code != 0:
            raise RunError(
                f"The demo stopped: `sluice {command}` ended with exit code {code}.",
                "Its output above shows the reason. `sluice doctor` checks the installation; `make demo` starts again.",
            )

    def begin_sluice(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in the background; its output is captured."""
        return subprocess.Popen(  # noqa: S603 - our own command
            [_SLUICE, *arguments],
            cwd=self.root,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def show_outcomes(self, runs: Iterable[tuple[str, Iterable[Outcome]]]) -> None:
        """Print the decision and the result of each run for each target."""
        table = Table(header_style="bold")
        for header in ("run", "target", "decision", "window read", "rows read", "rows written", "seconds"):
            table.add_column(header, justify="right" if header in {"rows read", "rows written", "seconds"} else "left")
        for name, outcomes in runs:
            for number, outcome in enumerate(outcomes):
                table.add_row(*_cells(name if number == 0 else "", outcome))
            table.add_section()
        out.print(table)

    def show_history(self, versions: Iterable[PlaneVersion]) -> None:
        """Print the versions of one plane."""
        table = Table(header_style="bold")
        for header in ("tailnum", "carrier", "base_airport", "valid_from", "valid_to", "is_current", ""):
            table.add_column(header)
        for version in versions:
            table.add_row(
                version.tailnum,
                version.carrier_name,
                version.base_airport,
                f"{version.valid_from:%d %b %H:%M}",
                f"{version.valid_to:%d %b %H:%M}" if version.valid_to else "–",
                str(version.is_current).lower(),
                "arrived late" if version.is_late else "",
            )
        out.print(table)


def _cells(run: str, outcome: Outcome) -> tuple[str, ...]:
    if outcome.seconds is None:
        return (run, outcome.target, outcome.action, "–", "–", "–", "–")
    read, written = ("–", "–") if outcome.rows is None else (f"{outcome.rows.read:,}", f"{outcome.rows.written:,}")
    return (run, outcome.target, outcome.action, outcome.windows, read, written, f"{outcome.seconds:.1f}")


def _environment() -> dict[str, str]:
    """Return the environment of commands: this process's, with wide tables when the output is a pipe."""
    return {"COLUMNS": _WIDTH_OF_PIPES, **os.environ} if not sys.stdout.isatty() else dict(os.environ)
