"""`posebench run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.cli import options


def run_command(
    suite: Annotated[str, typer.Argument(help="Suite file, or a shipped suite's name.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Run directory; by default runs/NAME.", show_default=False),
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only cells whose id fits a pattern.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N images of each data set.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run failed cells again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cells and what they cost; run nothing.")
    ] = False,
    device: Annotated[
        str,
        typer.Option(help="cpu, cuda or cuda:N; or several, a process each: cuda:0,cuda:1."),
    ] = "cpu",
    threads: options.Threads = None,
    workers: options.Workers = None,
) -> None:
    """Run a suite, or what is left of it, and print its table and verdicts."""
    from posebench.cli.run_suite import RunOptions, run_command_line
    from posebench.prediction.execution import Resources
    from posebench.suites.suite import find_suite

    resources = Resources(threads, workers)
    asked = RunOptions(out, only, limit, retry_failed, dry_run, device, resources)
    raise typer.Exit(run_command_line(find_suite(suite), asked))
