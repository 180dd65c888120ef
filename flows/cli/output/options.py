"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from metadata_sync.rows.vocabulary import Engine

EngineOption = Annotated[
    Engine | None, typer.Option("--engine", help="Where SELECTs run this time; overrides the rows.")
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", metavar="TYPE:N", help="Run on Spark, on a cluster of N core nodes of this type."),
]
