"""`posebench probe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.cli import options
from posebench.suites.probes import PROBE_NAMES


def probe_command(
    checkpoints: options.Checkpoints = None,
    probe: Annotated[
        str | None,
        typer.Option(help=f"Probes: {', '.join(PROBE_NAMES)}; by default all.", show_default=False),
    ] = None,
    dataset: options.Dataset = "synthetic",
    data_root: options.DataRoot = None,
    split: options.Split = "val",
    images: options.Images = None,
    keypoints: options.Keypoints = None,
    category: options.Category = None,
    exif: options.Exif = "apply",
    allow_resized: options.AllowResized = False,
    record: options.Record = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
    people: Annotated[int, typer.Option(min=1, help="Read up to N people, drawn by lot.")] = 300,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of people, untrained twins, episodes and resamples.")
    ] = 0,
    replicates: options.Replicates = 1000,
    spec: options.Spec = None,
    threads: options.Threads = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run directory, for report, plot and claims; what it has is kept.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Read off checkpoints what scores do not tell: what their vectors and tokens are like."""
    from posebench.cli.choices import several_of
    from posebench.cli.memory_suite import dataset_entry, suite_of
    from posebench.prediction.execution import Resources
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.progress import progress_bars
    from posebench.reporting.tables.probe_tables import probe_tables
    from posebench.results.store import read_run
    from posebench.running.evaluation import exit_code, run_directory
    from posebench.running.request import ProgressDisplay, RunRequest
    from posebench.running.run_suite import run_suite
    from posebench.suites.probes import ProbeSettings
    from posebench.suites.suite import ScoringEntry

    entry = dataset_entry(
        dataset,
        data_root,
        images,
        None,
        exif,
        split=split,
        keypoints=keypoints,
        category=category,
        allow_resized=allow_resized,
        record=record,
    )
    suite = suite_of(
        "probe",
        checkpoints,
        spec,
        datasets=(entry,),
        sizes=(),
        scoring=ScoringEntry(replicates=replicates, seed=seed),
        probes=several_of(probe, PROBE_NAMES, "--probe") if probe else PROBE_NAMES,
        probing=ProbeSettings(people, seed),
    )
    with run_directory(out) as folder, progress_bars("probes") as report:
        request = RunRequest(
            suite=suite,
            claims=(),
            folder=Path(),
            out=folder,
            limit=limit,
            resources=Resources(threads),
            source=str(Path.cwd()),
            only_adds=True,
        )
        run_suite(request, ProgressDisplay(report))
        found = read_run(folder).probes
    for table in probe_tables(found):
        print_fitting(table)
    raise typer.Exit(exit_code(found))
