"""The commands by their panels of the help: the module of each, and its first sentence.

The sentence stands here a second time, so that `sluice --help` imports no command. A test compares it with the help of
the command itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Entry(NamedTuple):
    """One command."""

    module: str
    """Module of this package whose `register(app)` adds it."""
    summary: str
    """First sentence of its help."""


PANELS: Final[Mapping[str, Mapping[str, Entry]]] = {
    "Build": {
        "init": Entry("init", "Create a project with an example that loads, or add Sluice to an existing dbt project."),
        "onboard": Entry(
            "onboard",
            "Propose control rows from data: sources, keys, load type, windows, each with its "
            "evidence and a confidence.",
        ),
        "control": Entry("control", "Show and change the control rows."),
        "validate": Entry("sync", "Check rows and SELECTs, and report all faults."),
        "plan": Entry("status", "Show what is pending and what would run now, and why. Changes nothing."),
        "sync": Entry("sync", "Write the control rows as dbt models to dbt_project/models/generated/."),
        "lint": Entry(
            "lint", "Find SQL that Redshift would refuse, or would run differently from PostgreSQL and DuckDB."
        ),
        "ci": Entry(
            "ci", "Check a pull request: rows and SELECTs, SQL on Redshift, what the change reaches, tests of targets."
        ),
        "test": Entry(
            "test",
            "Run targets on a few frozen rows, in a scratch database; `create` freezes rows, `run` is the default.",
        ),
        "promote": Entry(
            "promote",
            "Bring rows and SELECTs of another environment here. Tables, watermarks and history stay as they are.",
        ),
        "rollback": Entry(
            "promote",
            "Bring rows and SELECTs back to the moment before a change: it and all later ones are undone.",
        ),
        "env": Entry("env", "Make, list, compare and drop environments without copies."),
        "lineage": Entry(
            "lineage",
            "Show what a table or a column is derived from, and what is derived from it, through every SELECT.",
        ),
        "explain": Entry("explain", "Show every setting of a target, its value, and where it comes from."),
        "dbt": Entry("dbt", "Run dbt on this project and environment, from any folder."),
    },
    "Run": {
        "run": Entry("run", "Load every target whose sources have new data, and explain why the others were skipped."),
        "backfill": Entry("backfill", "Load a part of the past again, chunk by chunk. Watermarks stay where they are."),
        "restate": Entry(
            "backfill", "Derive the rows of a target again by today's SELECT, chunk by chunk, whatever their values."
        ),
    },
    "Look": {
        "status": Entry(
            "status",
            "Show what is wrong now, then every target: on or off, result of the last run, age, rows and last window.",
        ),
        "why": Entry(
            "status",
            "Explain why a target ran or did not: the gate's decision, its evidence, and what would "
            "make the target run.",
        ),
        "freshness": Entry(
            "freshness", "Show how old targets and sources are, and which are older than their row's freshness_minutes."
        ),
        "lake": Entry("lake", "Show the files of a lake source, and the load that read each."),
        "ties": Entry(
            "ledger", "Show the events of a target that tie: equal key, time and tie-breakers, and different content."
        ),
        "verify": Entry(
            "ledger", "Compare a target with its ledger and its load log. Writes nothing to the warehouse."
        ),
        "diff": Entry(
            "diff", "Compare a target with the same target of another environment, row by row and column by column."
        ),
        "savings": Entry(
            "savings",
            "Add up what was skipped because there was nothing to load: runs, warehouse minutes, cluster cost.",
        ),
        "cost": Entry("cost", "Show what loads took of a Redshift warehouse: seconds, RPU-seconds and dollars."),
    },
    "Repair": {
        "heal": Entry(
            "heal",
            "Check the rows that the framework deactivated after a failure, and reactivate those whose cause is gone.",
        ),
        "activate": Entry("control", "Let a transformation or a pipeline run again."),
        "deactivate": Entry(
            "control",
            "Stop a transformation or a pipeline from the next run on. Only `sluice activate` starts it again.",
        ),
        "accept": Entry("ledger", "Accept that rows of a target which an older SELECT derived stay as they are."),
        "rebuild": Entry(
            "ledger", "Write a target again from its ledger, after a change of its load type, key, sequence or types."
        ),
        "rename": Entry(
            "lifecycle", "Give a target a new name. Its rows, history, watermark and load log stay; no source is read."
        ),
        "retire": Entry(
            "lifecycle", "Switch a target off, and drop its tables after a grace period. Its rows of the load log stay."
        ),
        "classify": Entry(
            "classify", "Classify an error message: its class, whether a retry can help, and the rule that matched."
        ),
    },
    "Operate": {
        "up": Entry(
            "server",
            "Start Prefect in the background (the server, two workers and the reconciler) and print "
            "the address of its UI.",
        ),
        "down": Entry(
            "server",
            "Stop the local Prefect server, its workers and the reconciler. Its database stays for "
            "the next `sluice up`.",
        ),
        "deploy": Entry(
            "deploy", "Give every pipeline row its Prefect deployment: schedule, tags, description, one run at a time."
        ),
        "protection": Entry("protection", "Protect an environment, and say who may do what in it."),
        "proposals": Entry("proposals", "Look at changes that wait in a protected environment, and decide them."),
        "doctor": Entry(
            "doctor",
            "Check Python, packages, project, profile, control database, warehouse, clocks, lake, "
            "EMR, models and Prefect.",
        ),
        "alert": Entry("alert", "Test the channels that receive alerts."),
    },
    "Spark": {
        "size": Entry(
            "size",
            "Size the cluster for a pipeline: type, nodes, executors, minutes, dollars, whether it "
            "meets the SLA, and why.",
        ),
        "emr": Entry("emr", "Clusters on EMR."),
    },
}

COMMANDS: Final[Mapping[str, str]] = {name: entry.module for panel in PANELS.values() for name, entry in panel.items()}
"""Command → module."""
