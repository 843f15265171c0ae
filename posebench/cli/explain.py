"""`posebench explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.cli import options


def explain_command(
    mine: Annotated[
        str,
        typer.Argument(help="A run directory, a cell of one (RUN/cells/ID.json), or a file."),
    ],
    other: Annotated[
        str,
        typer.Argument(help="What it is compared with: the same, or an id of the zoo."),
    ],
    ann: Annotated[
        Path | None,
        typer.Option(help="Annotations that results files are scored against; else the run's."),
    ] = None,
    dataset: options.AnnotatedKind = None,
    run: Annotated[
        bool, typer.Option("--run", help="Let the network run, to measure what needs it.")
    ] = False,
    boxes: Annotated[
        Path | None, typer.Option(help="File of the other's detected boxes, to measure them.")
    ] = None,
    raw: Annotated[
        Path | None, typer.Option(help="Raw outputs (eval --save-raw), to measure decoders.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the explanation as JSON.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Draw the way between the numbers: .svg, .pdf, .png.")
    ] = None,
    replicates: options.Replicates = 1000,
    seed: options.ResampleSeed = 0,
    cache: Annotated[
        Path | None,
        typer.Option(
            envvar="POSEBENCH_PREDICTIONS",
            help="Folder of kept predictions, or none. By default in the user's cache.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Say why one AP is not another: what differs, what it is worth, and what remains."""
    from posebench.files.cache import predictions_directory
    from posebench.files.writing import check_writable
    from posebench.judging.explaining.explained import ExplainRequest, explained
    from posebench.reporting.explaining.table import explanation_table
    from posebench.reporting.figures.drawing import check_suffix
    from posebench.reporting.figures.explaining.waterfall import write_waterfall
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.progress import progress_bars
    from posebench.running.switches.measure import NetworkSwitches
    from posebench.scoring.files import write_report
    from posebench.scoring.statistics.estimates import Resampling

    if out is not None:
        check_suffix(out)
    for path in (json, out):
        if path is not None:
            check_writable(path)
    request = ExplainRequest(
        mine=mine,
        theirs=other,
        annotations=ann,
        dataset=dataset,
        boxes=boxes,
        resampling=Resampling(replicates, seed),
    )
    shared = None if str(cache) == "none" else cache or predictions_directory()
    with progress_bars("instances") as report:
        found = explained(request, NetworkSwitches(report, run, raw, shared))
    print_fitting(explanation_table(found))
    if json is not None:
        write_report(json, found)
    if out is not None:
        write_waterfall(found, out)
