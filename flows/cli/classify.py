"""`sluice classify`: what an error message means, and what Sluice would do about it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from flows.cli.output.console import out, print_json
from flows.context import load_context


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("classify")(classify)


def classify(
    text: Annotated[str, typer.Argument(help="The message; `-` reads it from standard input.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Classify an error message: its class, whether a retry can help, and the rule that matched.

    Examples:
        sluice classify "deadlock detected"

        sluice classify - --json < error.txt
    """
    from flows.errors.classify import UNKNOWN_TRIES, FailureClass, read_facts
    from flows.errors.classify import classify as classify_facts
    from flows.errors.team_rules import load_rules

    message = sys.stdin.read() if text == "-" else text
    verdict = classify_facts(read_facts(message), load_rules(load_context().project))
    advice = verdict.advice
    if as_json:
        document = {"class": verdict.failure_class.value, "is_soft": advice.is_soft, "rule": verdict.rule}
        document |= {"source": verdict.source, "sentence": advice.sentence, "remedy": advice.remedy}
        print_json("classify", document | {"retry_after_seconds": advice.wait_seconds if advice.is_soft else None})
        return
    kind = f"soft: retried, first after {advice.wait_seconds:.0f} s" if advice.is_soft else "hard: not retried"
    if verdict.failure_class is FailureClass.UNKNOWN:
        kind = f"soft for {UNKNOWN_TRIES - 1} more attempts, then hard"
    out.print(f"[bold]{verdict.failure_class}[/] ({kind})", highlight=False)
    out.print(f"{advice.sentence} {advice.remedy}", highlight=False)
    if verdict.rule is not None:
        out.print(f"Rule {verdict.rule}: {verdict.source}", highlight=False)
