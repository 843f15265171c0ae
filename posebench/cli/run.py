"""`posebench run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; by default torch's choice.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Threads that read images and cut crops ahead of the network; by default none, "
            "or up to 8 for a GPU. No answer depends on it.",
        ),
    ] = None,
) -> None:
    """Run a suite, or what is left of it, and print its table and verdicts."""
    from posebench.execution import Resources
    from posebench.suite import find_suite
    from posebench.suite_command import RunOptions, run_command_line

    resources = Resources(threads, workers)
    options = RunOptions(out, only, limit, retry_failed, dry_run, device, resources)
    raise typer.Exit(run_command_line(find_suite(suite), options))
