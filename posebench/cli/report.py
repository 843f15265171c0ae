"""`posebench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report_command(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    instances: Annotated[
        int, typer.Option(min=0, help="Instances of each kind in the gallery, for each pair.")
    ] = 3,
    profiles: Annotated[
        bool,
        typer.Option(
            "--profiles/--no-profiles",
            help="Run the gallery's networks again to draw their heatmaps and bins.",
        ),
    ] = True,
) -> None:
    """Write a run's report: one HTML file with verdicts, tables, plots and a gallery."""
    from posebench.reporting.messages import say
    from posebench.reporting.page import ReportRequest, write_report

    written = write_report(ReportRequest(run, out, instances, profiles))
    say(f"{written} ({written.stat().st_size / 1e6:.1f} MB)")
