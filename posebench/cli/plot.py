"""`posebench plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

KINDS = ("resolution", "curve")


def plot_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="resolution: one results JSON or --out folder of `posebench eval`; "
            "curve: .curve.json files of `posebench train`, or folders of them.",
            show_default=False,
        ),
    ],
    kind: Annotated[
        str, typer.Option(help="resolution: AP against input size; curve: AP and loss in training.")
    ],
    out: Annotated[Path, typer.Option(help="File to write, .svg or .png.")],
) -> None:
    """Draw AP against input size, or training curves (needs the extra `plots`)."""
    from posebench.cli.choices import one_of
    from posebench.errors import UsageError
    from posebench.plots import plot_resolution, plot_training_curves

    if one_of(kind, KINDS, "--kind") == "curve":
        plot_training_curves(files, out)
    elif len(files) == 1:
        plot_resolution(files[0], out)
    else:
        raise UsageError("--kind resolution draws one results file.", hint="Give one file.")
    typer.echo(str(out))
