"""`posebench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare_command(
    baseline: Annotated[Path, typer.Argument(help="Run directory to compare with.")],
    candidate: Annotated[Path, typer.Argument(help="Run directory that is judged.")],
    gate: Annotated[
        list[str] | None,
        typer.Option(
            help='What must not be: "AP drop 0.3", "AP drop 0 significant", "left_wrist drop 2", '
            '"speed drop 10%", "latency rise 10% significant", failed, missing, new, incomparable. '
            "By default a significant drop of AP, failed, missing and incomparable cells.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="terminal, md, junit or json.")] = "terminal",
    out: Annotated[Path | None, typer.Option(help="File to write instead of the screen.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Also annotate a GitHub job and write its summary.")
    ] = False,
) -> None:
    """Compare two runs of a suite; exit code 1 if a gate fails."""
    from posebench.cli.choices import one_of
    from posebench.comparison_formats import FORMATS
    from posebench.comparison_output import show_comparison

    chosen = one_of(format, FORMATS, "--format")
    passed = show_comparison(baseline, candidate, tuple(gate or ()), chosen, out, github)
    raise typer.Exit(0 if passed else 1)
