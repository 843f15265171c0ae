"""`posebench inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect_command(
    checkpoint: Annotated[
        str, typer.Argument(help="Checkpoint file, or the name of an embedded or pulled one.")
    ],
    spec: Annotated[Path | None, typer.Option(help="YAML with what the file does not say.")] = None,
) -> None:
    """Show what a checkpoint is, why, and what became of every tensor."""
    from posebench.checkpoints import inspect_checkpoint
    from posebench.reporting.messages import say
    from posebench.reporting.tables.listings import inspection_listing
    from posebench.zoo import resolve

    inspection = inspect_checkpoint(resolve(checkpoint), spec)
    say(inspection_listing(inspection))
    raise typer.Exit(0 if inspection.problem is None else 2)
