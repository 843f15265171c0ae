"""`posebench status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def status_command(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
) -> None:
    """Show how far a run is, on this machine or on others.

    The exit code is 3 if something failed or is left.
    """
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.status_lines import status_lines
    from posebench.results.shared.ledger import JOBS
    from posebench.results.shared.status import run_status
    from posebench.running.executors.slurm import task_states

    status = run_status(run)
    for line in status_lines(status, task_states(status.submitted, run.resolve() / JOBS)):
        print_fitting(line)
    raise typer.Exit(3 if status.left or status.reasons else 0)
