"""The fields of the forms. The UI shows titles and descriptions; choices come from the control tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from metadata_sync.redact import redact_text
from metadata_sync.rows.model import PipelineRow
from metadata_sync.rows.vocabulary import Engine, Increment, LoadType, OnChange

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]
Clearable = Literal[
    "schedule", "sla_minutes", "alert_channel", "owner", "emr_instance_types", "emr_core_min", "emr_core_max"
]
CLUSTER_HELP: Final = "TYPE:N, such as r5.4xlarge:8: run on Spark, on N core nodes; empty: sized automatically."
CLEARABLE: Final[tuple[str, ...]] = get_args(Clearable)
_SHOWN_IN_FIELD: Final = 12
"""Pipelines whose present value stands below a field."""


class Form(BaseModel):
    """A form.

    Attributes:
        choices: The name of the list of choices, by field.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    choices: ClassVar[Mapping[str, str]] = {}


class ChangeForm(Form):
    """A form whose change is recorded under a name that is typed in."""

    requested_by: Word = Field(title="Your name", description="Recorded in the history of the rows.")


class SwitchForm(ChangeForm):
    """Activate or deactivate a pipeline or a target."""

    choices = {"row": "rows"}

    row: Word = Field(title="Pipeline or target", description="A target is schema.table.")
    switch: Literal["activate", "deactivate"] = Field(title="Switch", description="Takes effect with the next run.")
    reason: Word = Field(title="Reason", description="Why; kept in the history. Never a password.")


class EditForm(ChangeForm):
    """Change a pipeline's schedule, SLA, cluster or alerts. Empty fields keep their value; `Clear` empties columns."""

    choices = {"pipeline": "pipelines"}

    pipeline: Word = Field(title="Pipeline")
    schedule: Text = Field(default="", title="Schedule", description="Cron: minute hour day month weekday.")
    timezone: Text = Field(default="", title="Time zone", description="IANA name, such as Asia/Jakarta.")
    sla_minutes: int | None = Field(default=None, gt=0, title="SLA", description="Minutes from schedule to loaded.")
    alert_channel: Text = Field(default="", title="Alert channel")
    owner: Text = Field(default="", title="Owner")
    emr_instance_types: tuple[Word, ...] = Field(
        default=(), title="Instance types of its cluster", description="In order of preference."
    )
    emr_core_min: int | None = Field(default=None, ge=1, title="Core nodes at least")
    emr_core_max: int | None = Field(default=None, ge=1, title="Core nodes at most")
    clear: tuple[Clearable, ...] = Field(default=(), title="Clear", description="Columns to set to null.")
    reason: Word = Field(title="Reason", description="Why; kept in the history. Never a password.")


EDITABLE: Final = tuple(
    name for name in EditForm.model_fields if name not in {"requested_by", "pipeline", "reason", "clear"}
)
"""Columns of a pipeline that `EditForm` changes."""


class OnboardForm(ChangeForm):
    """Make a SELECT of the project a managed table. Its columns come from the SELECT."""

    choices = {"pipeline": "pipelines", "sql_path": "selects", "driving": "tables", "lookups": "tables"}

    pipeline: Word = Field(title="Pipeline", description="The pipeline that loads it, on the pipeline's schedule.")
    sql_path: Word = Field(title="SELECT", description="File of the repository.")
    target_schema: Word = Field(title="Schema of the target")
    target_table: Word = Field(title="Table")
    load_type: LoadType = Field(title="Load type", description="scd1: current state; scd2: history; append: events.")
    increment: Increment = Field(
        default=Increment.ROWS, title="Increment", description="What a run reads: new rows, touched groups, all."
    )
    driving: tuple[Word, ...] = Field(
        min_length=1, title="Driving tables", description="New rows in them start a load."
    )
    lookups: tuple[Word, ...] = Field(default=(), title="Lookups", description="Tables that are read in full.")
    on_change: OnChange = Field(
        default=OnChange.RESTATE,
        title="Changed lookups",
        description="restate: derive loaded rows again; ignore: do not.",
    )
    business_key: tuple[Word, ...] = Field(default=(), title="Business key", description="Columns, one per item.")
    incremental_key: Text = Field(default="", title="Incremental key", description="When a row landed; bounds windows.")
    sequence_by: tuple[Word, ...] = Field(default=(), title="Sequence", description="What orders a key's events.")
    scd_columns: tuple[Word, ...] = Field(default=(), title="Tracked columns", description="scd2 only.")
    description: Text = Field(default="", title="Description")
    reason: Word = Field(title="Reason", description="Why; kept in the history. Never a password.")


class BackfillForm(ChangeForm):
    """Load a part of the past again, chunk by chunk. Watermarks do not move; rows already loaded stay."""

    choices = {"subject": "rows"}

    subject: Word = Field(title="Pipeline or target", description="A target is schema.table.")
    start: Word = Field(title="From", description="Least incremental key: date, timestamp (UTC) or integer.")
    end: Text = Field(default="", title="To", description="Greatest key, inclusive; empty: the current watermark.")
    chunk_size: Text = Field(
        default="", title="Chunk", description="Size of one load: 12h, 7d, or a number of integer keys; empty: by rows."
    )
    engine: Engine | None = Field(
        default=None, title="Engine", description="Where SELECTs run this time; empty: as in the rows."
    )
    cluster: Text = Field(default="", title="Cluster", description=CLUSTER_HELP)


class DecideForm(Form):
    """Approve or reject a change that waits. It counts as the decision of the user who starts this form."""

    proposal: int = Field(ge=1, title="Proposal", description="Its number.")
    digest: Annotated[str, StringConstraints(strip_whitespace=True, pattern="^[0-9a-f]{12,64}$")] = Field(
        title="Digest", description="As the proposal's page shows it: so that what was looked at is decided."
    )
    decision: Literal["approve", "reject"] = Field(title="Decision")
    reason: Text = Field(default="", title="Reason", description="Needed to reject. Never a password.")


def present_values(pipelines: Sequence[PipelineRow]) -> dict[str, str]:
    """Return what the fields of `EditForm` hold now, by field: Prefect cannot fill a form in by the pipeline chosen.

    Args:
        pipelines: The environment's pipelines; of more than a field has room for, the page of the form has a table.
    """
    found = {}
    for name in EDITABLE:
        shown = [f"{row.pipeline_id} {_shown(row, name)}" for row in pipelines[:_SHOWN_IN_FIELD]]
        more = len(pipelines) - _SHOWN_IN_FIELD
        found[name] = "Now: " + "; ".join(shown) + (f"; {more} more on the form's page" if more > 0 else "") + "."
    return found


def values_table(pipelines: Sequence[PipelineRow]) -> str:
    """Return the values that `EditForm` changes as Markdown, a line per pipeline."""
    lines = [
        "| " + " | ".join(["pipeline", *EDITABLE]) + " |",
        "| " + " | ".join(["---"] * (1 + len(EDITABLE))) + " |",
        *("| " + " | ".join([row.pipeline_id, *(_shown(row, name) for name in EDITABLE)]) + " |" for row in pipelines),
    ]
    return "\n\nWhat the rows hold now:\n\n" + "\n".join(lines)


def _shown(row: PipelineRow, name: str) -> str:
    value = getattr(row, name)
    text = ", ".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
    return redact_text(" ".join(text.split())).replace("|", "\\|") or "–"


def parameter_schema(
    form: type[Form], lists: Mapping[str, Sequence[str]], present: Mapping[str, str] = {}
) -> dict[str, Any]:
    """Return the JSON schema of a flow whose one parameter `form` is this form, its choices filled in.

    Args:
        form: The form.
        lists: The choices, by name of the list.
        present: What fields hold now, by field; shown below the field.
    """
    model = form.model_json_schema(ref_template="#/definitions/{model}")
    definitions = model.pop("$defs", {})
    for name, chosen in form.choices.items():
        field = model["properties"][name]
        (field["items"] if field.get("type") == "array" else field)["enum"] = list(lists[chosen])
    for name, text in present.items():
        field = model["properties"][name]
        field["description"] = f"{field.get('description', '')} {text}".strip()
    for position, field in enumerate(model["properties"].values()):
        field["position"] = position
    return {
        "title": "Parameters",
        "type": "object",
        "properties": {"form": {"$ref": f"#/definitions/{form.__name__}", "title": "What to do", "position": 0}},
        "required": ["form"],
        "definitions": {**definitions, form.__name__: model},
    }
