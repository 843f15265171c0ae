"""`posebench compare`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from posebench.errors import DataError

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"


def compare_command(
    baseline: Annotated[Path, typer.Argument(help="Run directory to compare with.")],
    candidate: Annotated[Path, typer.Argument(help="Run directory that is judged.")],
    gate: Annotated[
        list[str] | None,
        typer.Option(
            help='What must not be: "AP drop 0.3", "AP drop 0 significant", "left_wrist drop 2", '
            '"speed drop 10%", "latency rise 10% significant", new. Failed, missing and '
            "incomparable cells fail besides, unless one is none. By default also a significant "
            "drop of AP.",
            show_default=False,
        ),
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option(
            help="OLD=NEW: compare the baseline's checkpoint OLD with the candidate's NEW. May be "
            "given several times. Checkpoints of the same content or labels find each other.",
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
    from posebench.judging.comparison import compare_runs
    from posebench.judging.gates import gates_of
    from posebench.judging.pairs.partners import parse_aliases
    from posebench.reporting.printing import print_fitting, text_of, write_out
    from posebench.reporting.tables import comparison_texts

    texts = comparison_texts.TEXTS
    form = one_of(format, ("terminal", *texts), "--format")
    comparison = compare_runs(baseline, candidate, gates_of(gate or ()), parse_aliases(map or ()))
    if form in texts:
        text = texts[form](comparison)
        write_out(out, text) if out is not None else sys.stdout.write(text)
    elif out is not None:
        write_out(out, text_of(comparison_texts.comparison_table(comparison)))
    else:
        print_fitting(comparison_texts.comparison_table(comparison))
    if github:
        sys.stdout.write(comparison_texts.github_annotations(comparison))
        if summary := os.environ.get(SUMMARY_VARIABLE):
            _append(Path(summary), comparison_texts.comparison_markdown(comparison))
    raise typer.Exit(0 if comparison.passed else 1)


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise DataError(f"The job summary {path} cannot be written: {error.strerror}.") from None
