"""`posebench convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert_command(
    checkpoint: Annotated[
        str, typer.Argument(help="Checkpoint file, or the name of an embedded or pulled one.")
    ],
    out: Annotated[Path, typer.Argument(help="File to write, ending in .safetensors.")],
    spec: Annotated[Path | None, typer.Option(help="YAML with what the file does not say.")] = None,
    dtype: Annotated[
        str,
        typer.Option(
            help="Precision of the weights: float32, which changes no number, or float16."
        ),
    ] = "float32",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a checkpoint as posebench's own file, with all that was found about it inside."""
    from posebench.checkpoints.converting import PRECISIONS, convert_checkpoint
    from posebench.cli.choices import one_of
    from posebench.reporting.messages import say
    from posebench.reporting.tables.listings import conversion_listing
    from posebench.zoo import resolve

    precision = one_of(dtype, tuple(PRECISIONS), "--dtype")
    source = convert_checkpoint(
        resolve(checkpoint), out, spec_file=spec, precision=precision, force=force
    )
    say(conversion_listing(source, out))
