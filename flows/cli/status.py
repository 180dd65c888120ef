"""`sluice plan`, `sluice status`, `sluice why`: what would run, the state of every target, and the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.cli.output.completion import complete_pipelines, complete_targets
from flows.cli.output.console import out, print_json, print_problems, print_table, progress, say
from flows.context import load_context
from metadata_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.engine.outlook import Outlook
    from flows.reports.status import TargetStatus
    from metadata_sync.database.journals.entries import DecisionEntry, LoadEntry
    from metadata_sync.incident import Incident
    from metadata_sync.rows.model import ControlRows

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

_FAULTS_EXIT_CODE: Final = 3


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("plan")(plan)
    app.command("status")(status)
    app.command("why")(why)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not a time. Write 2013-01-02 02:00, which is UTC, or 2013-01-02T02:00-05:00."
        ) from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def plan(
    pipelines: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pipelines; every active one by default.", show_default=False, autocompletion=complete_pipelines
        ),
    ] = None,
    job_group: Annotated[str | None, typer.Option("--job-group", help="Only pipelines of this job group.")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="REF", help="What the files change against a git ref, and what that reaches."
        ),
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="With --against: as a comment of a pull request.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is pending and what would run now, and why. Changes nothing.

    With --against: how each row and SELECT differs from a commit, what that does to rows that stand, which columns and
    targets it reaches, and what breaks (exit code 1).

    Pending are rows in dbt_project/control/ that are not applied, and generated models that differ from the rows. Exit
    code 3: rows or SELECTs have faults.

    Examples:
        sluice plan

        sluice plan flights_hourly --json

        sluice plan --against origin/main --markdown
    """
    if against is not None:
        _plan_against(against, as_markdown=as_markdown, as_json=as_json)
        return
    from flows.engine.outlook import look_ahead
    from flows.run.model import RunRequest

    context = load_context()
    request = RunRequest(tuple(pipelines or ()), job_group, requested_by=context.who)
    with progress("Looking at rows, models and sources…", is_quiet=as_json):
        outlook = look_ahead(context, request)
    if as_json:
        print_json("plan", _outlook_document(outlook))
    else:
        _print_outlook(outlook)
    if outlook.faults or outlook.trouble:
        raise typer.Exit(_FAULTS_EXIT_CODE)


def _plan_against(ref: str, *, as_markdown: bool, as_json: bool) -> None:
    import sys

    from flows.impact import text
    from flows.impact.plan import plan_impact

    context = load_context()
    with progress("Comparing with the commit…", is_quiet=as_json or as_markdown):
        impact = plan_impact(context, ref)
    if as_json:
        print_json("plan-against", text.document(impact))
    elif as_markdown:
        sys.stdout.write(text.markdown(impact))
    else:
        title = f"Changed against {ref}: {len(impact.effects)} of the rows"
        print_table(title, text.HEADERS, text.table_rows(impact))
        if impact.uncommitted:
            say(text.uncommitted_line(impact))
    if impact.is_broken:
        raise typer.Exit(1)


def status(
    pipelines: Annotated[
        list[str] | None,
        typer.Argument(help="Pipelines; all by default.", show_default=False, autocompletion=complete_pipelines),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is wrong now, then every target: on or off, result of the last run, age, rows and last window.

    What is wrong are rows that the framework switched off, open incidents and late pipelines, the most urgent first,
    each with its cause, the targets that wait for it and the next step. Neither the warehouse nor Prefect is asked.
    Into a pipe, targets are printed as plain lines with tabs. With pipelines: their targets, and what is wrong with
    them or with everything.

    Examples:
        sluice status

        sluice status flights_hourly

        sluice status --json
    """
    from flows.gate.definitions import recorded_changes
    from flows.gate.first_load import first_loads_of
    from flows.reports.status import target_statuses
    from flows.upkeep.problems import problems
    from flows.upkeep.scope import Scope

    context = load_context()
    store, scope = context.store, Scope.of(context, pipelines or ())
    rows, loads = scope.rows, scope.loads
    first_loads = first_loads_of(store.unfinished_first_loads())
    changes = recorded_changes(context, rows, loads, scope.targets)
    every = target_statuses(rows, loads, store.now(), changes, first_loads)
    statuses = [item for item in every if scope.holds(item.pipeline_id)]
    found = problems(context, scope)
    if as_json:
        incidents = [_incident_document(incident) for incident in scope.incidents]
        targets = [_status_document(item) for item in statuses]
        print_json("status", {"problems": [asdict(item) for item in found], "targets": targets, "incidents": incidents})
    elif statuses or found:
        print_problems(found)
        _print_statuses(statuses)
    else:
        say("There is no transformation yet. `sluice control apply` writes the rows of dbt_project/control/.")


def why(
    target: Annotated[str, typer.Argument(help="The target, schema.table.", autocompletion=complete_targets)],
    at: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            parser=_instant,
            metavar="TIME",
            help="The last decision at this time, in UTC or with an offset; now by default.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain why a target ran or did not: the gate's decision, its evidence, and what would make the target run.

    Examples:
        sluice why dwh.dim_aircraft

        sluice why dwh.dim_aircraft --at "2013-01-02 02:00"

        sluice why dwh.dim_aircraft --at 2013-01-02T02:00-05:00 --json
    """
    from flows.cli.output.tables import print_notes
    from flows.gate.definitions import definition_notes
    from flows.gate.first_load import first_loads_of
    from flows.reports.lookups import lookup_notes

    context = load_context()
    store = context.store
    decisions = store.latest_decisions(target, at, 1)
    if not decisions:
        raise _no_decision(target, store.usable_rows(), at)
    load = store.load_at(target, decisions[0].run_id, at)
    notes = definition_notes(context, [target]).get(target, ()) if at is None else ()
    first = first_loads_of(store.unfinished_first_loads()).get(target) if at is None else None
    rows = store.read_part(targets=[target]).usable if at is None else None
    found = lookup_notes(rows, [target], [load] if load else []) if rows is not None else ()
    lookups = [note for _, sentences in found for note in sentences]
    if as_json:
        print_json("why", {**_why_document(decisions[0], load), "definition": list(notes), "lookups": lookups})
        return
    _print_why(decisions[0], load)
    print_notes(found)
    print_notes([(target, (*notes, *([first.sentence] if first else [])))])


def _no_decision(target: str, rows: ControlRows, at: datetime | None) -> ConfigurationError:
    if target not in {str(row.name) for row in rows.transformations}:
        from metadata_sync.rows.resolve import unknown_target

        return unknown_target(target, rows)
    moment = "yet" if at is None else f"until {at:%Y-%m-%d %H:%M} UTC"
    return ConfigurationError(
        f"No decision on {target} is recorded {moment}.", "`sluice plan` shows what would run now."
    )


def _print_outlook(outlook: Outlook) -> None:
    from flows.cli.output.tables import print_decisions, print_notes

    if outlook.rows:
        rows = [(item.kind, item.row, ", ".join(item.columns) or None) for item in outlook.rows]
        print_table("Rows not applied (`sluice control apply`)", ("Change", "Row", "Columns"), rows)
    if outlook.drifted:
        rows_of_files = [(path,) for path in outlook.drifted]
        print_table("Generated models that differ (`sluice sync` or the next run)", ("File",), rows_of_files)
    print_notes((target, [sentence]) for target, sentence in outlook.columns)
    if outlook.trouble:
        say(outlook.trouble)
    for fault in outlook.faults:
        say(f"  {fault}")
    if outlook.run is None:
        return
    if outlook.run.decisions:
        due = sum(decision.action.value == "run" for decision in outlook.run.decisions)
        print_decisions(f"{due} of {len(outlook.run.decisions)} targets would run now", outlook.run.decisions)
        print_notes(outlook.lookups)
    else:
        say("There is no active pipeline.")
    for cluster in outlook.clusters:
        out.print(f"EMR cluster for {cluster}", highlight=False, markup=False, soft_wrap=True)
    for orphan in outlook.run.orphans:
        say(f"! {orphan.target}: {orphan.message}.")


def _outlook_document(outlook: Outlook) -> dict[str, Any]:
    from flows.cli.output.tables import plan_document

    return {
        "rows": [asdict(item) for item in outlook.rows],
        "drifted": outlook.drifted,
        "faults": [fault.as_dict() for fault in outlook.faults],
        "trouble": outlook.trouble,
        "columns": dict(outlook.columns),
        "lookups": {target: list(notes) for target, notes in outlook.lookups},
        "run": plan_document(outlook.run) if outlook.run is not None else None,
        "clusters": [asdict(item) for item in outlook.clusters],
    }


def _print_statuses(statuses: Sequence[TargetStatus]) -> None:
    from flows.cli.output.tables import print_notes
    from metadata_sync.text import duration_text

    rows = [
        (
            item.target,
            f"{'on' if item.is_active else 'off'}, {item.last.status.value if item.last else 'never ran'}",
            None if item.age_seconds is None else duration_text(item.age_seconds),
            item.last_success and item.last_success.rows,
            _windows(item.last_success),
        )
        for item in statuses
    ]
    print_table("", ("Target", "State", "Age", "Rows", "Last window"), rows)
    print_notes((item.target, item.notes) for item in statuses)


def _incident_document(incident: Incident) -> dict[str, Any]:
    """Return an incident, JSON-ready, under the names of the table `incident`."""
    document = asdict(incident)
    document["told_at"] = document.pop("alerted_at")
    return document


def _status_document(item: TargetStatus) -> dict[str, Any]:
    from flows.cli.output.tables import change_document, first_load_document

    last, loaded = item.last, item.last_success
    return {
        "target": item.target,
        "pipeline_id": item.pipeline_id,
        "load_type": item.load_type,
        "is_active": item.is_active,
        "last_status": last.status.value if last else None,
        "last_run_id": last.run_id if last else None,
        "last_finished_at": last.finished_at.isoformat() if last else None,
        "error": last.error_message if last else None,
        "last_load": _load_document(loaded) if loaded else None,
        "age_seconds": item.age_seconds,
        "definition_change": change_document(item.definition_change),
        "first_load": first_load_document(item.first_load) if item.first_load else None,
    }


def _load_document(entry: LoadEntry) -> dict[str, Any]:
    return {
        "run_id": entry.run_id,
        "load_id": entry.load_id,
        "loaded_at": entry.loaded_at.isoformat() if entry.loaded_at else None,
        "windows": [asdict(window) for window in entry.windows],
        "rows": asdict(entry.rows) if entry.rows else None,
        "rejects": asdict(entry.rejects) if entry.rejects else None,
        "driving_rows": asdict(entry.driving_rows) if entry.driving_rows else None,
        "seconds": entry.seconds,
    }


def _print_why(decision: DecisionEntry, load: LoadEntry | None) -> None:
    from flows.gate.explain import explain, remedy

    out.print(
        f"{decision.target}: {decision.action} at {decision.decided_at:%Y-%m-%d %H:%M:%S} UTC (run {decision.run_id}, "
        f"{decision.reason})",
        highlight=False,
        markup=False,
    )
    out.print(f"{decision.message}.", highlight=False, markup=False)
    for sentence in (remedy(decision), *explain(decision)):
        if sentence:
            out.print(sentence, highlight=False, markup=False)
    sources = decision.evidence.get("sources", ())
    if sources:
        rows = [
            (
                source["source"],
                source["mode"],
                "yes" if source["is_new"] else "no",
                _short(source, "watermark"),
                _short(source, "newest"),
                _band(source),
                source.get("future_count") or None,
            )
            for source in sources
        ]
        print_table(
            "", ("Source", "Asked by", "New", "Read up to", "Holds up to", "In the band", "In the future"), rows
        )
    if load is not None:
        ended = load.error_message or load.rows or "nothing new"
        run = "That run" if load.run_id == decision.run_id else f"Its last run before ({load.run_id})"
        out.print(f"{run}: {load.status} at {load.finished_at:%Y-%m-%d %H:%M:%S} UTC, {ended}.", highlight=False)


def _why_document(decision: DecisionEntry, load: LoadEntry | None) -> dict[str, Any]:
    from flows.gate.explain import explain, remedy

    return {
        "target": decision.target,
        "pipeline_id": decision.pipeline_id,
        "run_id": decision.run_id,
        "decided_at": decision.decided_at.isoformat(),
        "decision": decision.action,
        "reason": decision.reason,
        "message": decision.message,
        "remedy": remedy(decision) or None,
        "explanation": explain(decision),
        "evidence": list(decision.evidence.get("sources", ())),
        "engine": decision.evidence.get("engine"),
        "last_run": {"status": load.status.value, **_load_document(load)} if load is not None else None,
    }


def _band(source: dict[str, Any]) -> str | None:
    expected, found = source.get("band_expected"), source.get("band_found")
    return None if found is None else f"{found} now, {expected} when read"


def _windows(entry: LoadEntry | None) -> str | None:
    return "\n".join(str(window) for window in entry.windows) if entry else None


def _short(source: Mapping[str, Any], name: str) -> str | None:
    from flows.cli.output.tables import short_bound
    from flows.gate.facts import SourceMode

    bound = source.get(name)
    return None if bound is None else short_bound(SourceMode(source["mode"]), bound)
