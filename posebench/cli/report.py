"""`posebench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report_command(
    run: Annotated[Path, typer.Argument(help="Run directory, or a folder of them.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Compare these two checkpoints, B against A."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="A", help="Compare every other checkpoint with this one.")
    ] = None,
    instances: Annotated[
        int, typer.Option(min=0, help="Persons of each kind to look at closely, for each pair.")
    ] = 3,
    gallery: Annotated[
        str,
        typer.Option(
            metavar="N|all",
            help="Persons of the browser that have a picture; more than 24 pictures lie in a "
            "folder beside the page.",
        ),
    ] = "24",
    data_root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="Where a data set lies that the run's checkpoints were trained on, if it was "
            "elsewhere.",
            show_default=False,
        ),
    ] = None,
    profiles: Annotated[
        bool,
        typer.Option(
            "--profiles/--no-profiles",
            help="Run networks again to draw their heatmaps and bins of the persons looked at.",
        ),
    ] = True,
) -> None:
    """Write a run's report: an HTML page with verdicts, tables, plots and persons to browse.

    By default it compares with the baseline of posebench eval, else matched pairs of paradigms,
    else the two best checkpoints. A folder of runs gets a file for each, with its name behind that
    of --out.
    """
    from posebench.cli.choices import count_or_all, roots_of
    from posebench.errors import UsageError
    from posebench.reporting.messages import say
    from posebench.reporting.page import ReportRequest, Wish, write_report
    from posebench.results.store import read_run, runs_in
    from posebench.running.trained.places import check_roots

    if pair is not None and baseline is not None:
        raise UsageError("--pair and --baseline exclude each other.", hint="Give one of them.")
    pictures = count_or_all(gallery, "--gallery")
    found = runs_in(run)
    roots = roots_of(data_root or [])
    if roots:
        check_roots(roots, [read_run(each).record.suite for each in found])
    for each in found:
        file = out if found == (run,) else out.with_stem(f"{out.stem}-{each.name}")
        wish = Wish(baseline, pair)
        request = ReportRequest(each, file, instances, profiles, pictures, wish, roots)
        written = write_report(request)
        say(f"{written} ({written.stat().st_size / 1e6:.1f} MB)")
