"""`posebench score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.suites.suite import MOST_REPLICATES


def score_command(
    predictions: Annotated[
        list[Path],
        typer.Argument(help="COCO results files of any tool; the first is the baseline."),
    ],
    ann: Annotated[Path, typer.Option(help="COCO-format annotation file.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="A built-in set, such as coco, or a YAML file; else by annotations."),
    ] = None,
    official: Annotated[
        bool, typer.Option("--official", help="Score with pycocotools or xtcocotools as well.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write numbers, intervals and protocol.")
    ] = None,
    replicates: Annotated[
        int, typer.Option(min=1, max=MOST_REPLICATES, help="Resamples of the images.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
    interval: Annotated[str, typer.Option(help="percentile or bca.")] = "percentile",
    area_rule: Annotated[
        str | None, typer.Option(help="annotation, or box (0.53 of it); else by data set.")
    ] = None,
    crowd_split: Annotated[
        str, typer.Option(help="Easy/medium/hard: code (0.2/0.8) or paper (0.1/0.8).")
    ] = "code",
) -> None:
    """Score results files, every number with an interval; several files side by side."""
    from rich.console import Console

    from posebench.cli.choices import one_of
    from posebench.datasets.coco import AREA_RULES
    from posebench.reporting.score_tables import score_tables
    from posebench.scoring.files import ScoreRequest, score_files, write_report
    from posebench.scoring.matching.metrics import CROWD_SPLITS
    from posebench.scoring.statistics.estimates import Resampling
    from posebench.scoring.statistics.intervals import INTERVALS

    report = score_files(
        ScoreRequest(
            predictions=tuple(predictions),
            annotations=ann,
            dataset=dataset,
            area_rule=one_of(area_rule, AREA_RULES, "--area-rule") if area_rule else None,
            crowd_split=one_of(crowd_split, tuple(CROWD_SPLITS), "--crowd-split"),
            official=official,
            resampling=Resampling(replicates, seed, one_of(interval, INTERVALS, "--interval")),
        )
    )
    Console().print(score_tables(report))
    if json is not None:
        write_report(json, report)
