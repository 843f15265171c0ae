"""`posebench claims`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def claims_command(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    enforce: Annotated[
        bool, typer.Option("--enforce", help="Exit with 1 if a claim is refuted.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the verdicts.")] = None,
) -> None:
    """Judge a run's claims: verdict, effect, interval and what they rest on."""
    from posebench.claims_command import judge_run, show_verdicts, write_verdicts

    verdicts = judge_run(run)
    show_verdicts(verdicts)
    if json is not None:
        write_verdicts(json, verdicts)
    refuted = any(verdict.verdict == "refuted" for verdict in verdicts)
    raise typer.Exit(1 if enforce and refuted else 0)
