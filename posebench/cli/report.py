"""`posebench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report_command(
    run: Annotated[Path, typer.Argument(help="Run directory, or a folder of them.")],
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
    """Write a run's report: one HTML file with verdicts, tables, plots and a gallery.

    A folder of runs gets a file for each, with its name behind that of `--out`.
    """
    from posebench.reporting.messages import say
    from posebench.reporting.page import ReportRequest, write_report
    from posebench.results.store import runs_in

    found = runs_in(run)
    for each in found:
        file = out if found == (run,) else out.with_stem(f"{out.stem}-{each.name}")
        written = write_report(ReportRequest(each, file, instances, profiles))
        say(f"{written} ({written.stat().st_size / 1e6:.1f} MB)")
