"""How `sluice onboard` shows what it proposes and what was done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flows.cli.output.console import out, print_table, say

if TYPE_CHECKING:
    from flows.onboard.model import Proposal
    from flows.onboard.trial.cost import Forecast, Load
    from flows.onboard.trial.trial import Tried


@dataclass(frozen=True, slots=True)
class Onboarded:
    """What came of proposals.

    Attributes:
        taken: Those whose rows were written.
        left: Those whose rows were not.
        files: The files that were written, from the project's root.
        tried: What the trial loads showed.
    """

    taken: Sequence[Proposal]
    left: Sequence[Proposal]
    files: Sequence[str]
    tried: Sequence[Tried]

    def forecasts(self, usd_per_hour: float | None) -> dict[str, Forecast]:
        """Return what each target that was tried will take."""
        from flows.onboard.trial.cost import forecast

        by_target = {str(proposal.target): proposal for proposal in self.taken}
        return {item.target: forecast(by_target[item.target], item, usd_per_hour) for item in self.tried}


def show(proposals: Sequence[Proposal]) -> None:
    """Show each proposal with its evidence."""
    for proposal in proposals:
        facts = proposal.facts
        landings = len(facts.landing_counts)
        what = [f"{facts.row_count:,} rows", f"{len(facts.columns)} columns"]
        what += (
            [f"{landings} landings, about {sum(facts.landing_counts) // landings:,} rows each"] if landings > 1 else []
        )
        print_table(
            f"{proposal.target} from {proposal.offer.shown}: {', '.join(what)}",
            ("Setting", "Proposal", "Confidence", "Evidence"),
            [
                (choice.setting, text_of(choice.value) or "–", f"{choice.confidence:.2f}", choice.evidence)
                for choice in proposal.choices
            ],
        )


def tell(done: Onboarded, usd_per_hour: float | None) -> None:
    """Say what was written and tried, what the targets will take, and what was left out."""
    forecasts = done.forecasts(usd_per_hour)
    for item in done.tried:
        rejected = f", {item.rejected_count:,} of them rejected" if item.rejected_count else ""
        _print(f"tried {item.target}: {item.row_count:,} rows of a sample in {item.seconds:.1f} s{rejected}")
        _print(f"  {_cost(forecasts[item.target])}")
    for file in done.files:
        _print(f"wrote {file}")
    for proposal in done.left:
        least = min(proposal.choices, key=lambda choice: choice.confidence)
        say(f"Left out: {proposal.target}: {least.setting}: {least.evidence} ({least.confidence:.2f}).")
    if done.files:
        _print("Next: sluice control apply, then sluice run.")


def _print(text: str) -> None:
    out.print(text, markup=False, highlight=False)


def _cost(expected: Forecast) -> str:
    later = "not known: its data are one landing" if expected.later is None else _load(expected.later)
    return f"will take, about: its first load {_load(expected.first)}; a later one {later}"


def _load(load: Load) -> str:
    dollars = "" if load.usd is None else f", ${load.usd:.4f}"
    return f"{load.rows:,} rows, {load.seconds:.1f} s{dollars}"


def text_of(value: Any) -> str:
    """Return a value as a person writes it in answer to a question."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) if len(value) == 1 else f"[{', '.join(value)}]"
    return "" if value is None else str(value)


def document(proposals: Sequence[Proposal], done: Onboarded, usd_per_hour: float | None) -> dict[str, Any]:
    """Return all of it as one document."""
    samples = {item.target: {"rows": item.row_count, "rejected": item.rejected_count} for item in done.tried}
    forecasts = done.forecasts(usd_per_hour)
    chosen = {proposal.target for proposal in done.taken}
    return {
        "targets": [
            {
                "target": str(proposal.target),
                "from": proposal.offer.shown,
                "rows": proposal.facts.row_count,
                "landings": len(proposal.facts.landing_counts),
                "is_written": proposal.target in chosen,
                "confidence": proposal.confidence,
                "tried": samples.get(str(proposal.target)),
                "forecast": asdict(forecasts[str(proposal.target)]) if str(proposal.target) in forecasts else None,
                "settings": [
                    {
                        "setting": choice.setting,
                        "value": choice.value,
                        "confidence": choice.confidence,
                        "evidence": choice.evidence,
                        "others": list(choice.others),
                    }
                    for choice in proposal.choices
                ],
            }
            for proposal in proposals
        ],
        "files": list(done.files),
    }
