"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from metadata_sync.rows.vocabulary import Engine

EngineOption = Annotated[
    Engine | None, typer.Option("--engine", help="Where SELECTs run this time; overrides the rows.")
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="Least incremental key: date, timestamp (UTC) or integer.", show_default=False),
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", help="Greatest key, itself included; what runs have read by default.", show_default=False),
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", metavar="TYPE:N", help="Run on Spark, on a cluster of N core nodes of this type."),
]
