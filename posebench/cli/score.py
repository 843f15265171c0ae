"""`posebench score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.cli import options


def score_command(
    predictions: options.PredictionFiles,
    ann: options.AnnotationFile,
    dataset: options.AnnotatedKind = None,
    official: Annotated[
        bool, typer.Option("--official", help="Score with pycocotools or xtcocotools as well.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write numbers, intervals and protocol.")
    ] = None,
    replicates: options.Replicates = 1000,
    seed: options.ResampleSeed = 0,
    interval: Annotated[str, typer.Option(help="percentile or bca.")] = "percentile",
    area_rule: options.AreaRule = None,
    format: options.ResultsFormat = "auto",
    category: Annotated[
        str | None, typer.Option(help="One category by id or name; else all, and their mean.")
    ] = None,
    crowd_split: Annotated[
        str, typer.Option(help="Easy/medium/hard: code (0.2/0.8) or paper (0.1/0.8).")
    ] = "code",
) -> None:
    """Score results files, every number with an interval; several files side by side."""
    from posebench.cli.choices import one_of
    from posebench.datasets.choices import AREA_RULES
    from posebench.files.writing import check_writable
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.tables.score_tables import score_tables
    from posebench.scoring.files import ScoreRequest, score_files, write_report
    from posebench.scoring.formats.formats import FORMAT_CHOICES
    from posebench.scoring.matching.metrics import CROWD_SPLITS
    from posebench.scoring.statistics.estimates import Resampling
    from posebench.scoring.statistics.intervals import INTERVALS

    if json is not None:
        check_writable(json)
    report = score_files(
        ScoreRequest(
            predictions=tuple(predictions),
            annotations=ann,
            dataset=dataset,
            area_rule=one_of(area_rule, AREA_RULES, "--area-rule") if area_rule else None,
            crowd_split=one_of(crowd_split, tuple(CROWD_SPLITS), "--crowd-split"),
            official=official,
            category=category,
            format=one_of(format, FORMAT_CHOICES, "--format"),
            resampling=Resampling(replicates, seed, one_of(interval, INTERVALS, "--interval")),
        )
    )
    print_fitting(score_tables(report))
    if json is not None:
        write_report(json, report)
