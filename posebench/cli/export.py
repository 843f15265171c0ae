"""`posebench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export_command(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    format: Annotated[
        str,
        typer.Option(
            help="model-index (metadata of a Hugging Face model card), fiftyone (a COCO file for "
            "each cell), coco-submission (as COCO's server takes results), wandb or mlflow."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write into; wandb and mlflow can do without.",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        str, typer.Option(help="Project of wandb, or experiment of mlflow.")
    ] = "posebench",
) -> None:
    """Hand a run on to where results are kept: model cards, viewers, servers, trackers."""
    from posebench.reporting.exports import ExportRequest, export_run
    from posebench.reporting.messages import say

    for line in export_run(ExportRequest(run, format, out, project)):
        say(line)
