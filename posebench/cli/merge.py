"""`posebench merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def merge_command(
    runs: Annotated[
        list[Path], typer.Argument(help="Run directories of one suite, such as those of shards.")
    ],
    out: Annotated[Path, typer.Option(help="Run directory to merge them into.")],
) -> None:
    """Merge run directories of one suite into one, and print its table and verdicts.

    Each result keeps the environment that it was made in. The exit code is 3 if a cell failed, was
    skipped or is still left.
    """
    from rich.text import Text

    from posebench.cli.printed_run import print_left, print_run
    from posebench.reporting.printing import print_fitting
    from posebench.results.shared.merging import merge_runs
    from posebench.running.evaluation import exit_code

    run = merge_runs(runs, out)
    print_run(run, verdicts=True)
    if run.missing:
        print_left(run, "Not in any of these")
    print_fitting(Text(f"Run directory: {out}"))
    code = exit_code([*(cell.result for cell in run.cells), *run.probes])
    raise typer.Exit(3 if run.missing else code)
