"""`posebench diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.suites.suite import MOST_REPLICATES


def diagnose_command(
    predictions: Annotated[
        list[Path],
        typer.Argument(help="COCO results files of any tool; the first is the baseline."),
    ],
    ann: Annotated[Path, typer.Option(help="COCO-format annotation file.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="A built-in set, such as coco, or a YAML file; else by annotations."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw errors, costs and confidence: .png, .pdf, .svg.")
    ] = None,
    replicates: Annotated[
        int, typer.Option(min=1, max=MOST_REPLICATES, help="Resamples of the images.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
    area_rule: Annotated[
        str | None, typer.Option(help="annotation, or box (0.53 of it); else by data set.")
    ] = None,
) -> None:
    """Say what goes wrong in results files, and what each kind of error costs in AP."""
    from rich.console import Console

    from posebench.cli.choices import one_of
    from posebench.datasets.coco import AREA_RULES
    from posebench.reporting.diagnosis_tables import diagnosis_tables
    from posebench.reporting.figures.diagnosis import plot_diagnosis
    from posebench.scoring.diagnosis.files import DiagnosisRequest, diagnose_files
    from posebench.scoring.files import write_report

    report = diagnose_files(
        DiagnosisRequest(
            predictions=tuple(predictions),
            annotations=ann,
            dataset=dataset,
            area_rule=one_of(area_rule, AREA_RULES, "--area-rule") if area_rule else None,
            replicates=replicates,
            seed=seed,
        )
    )
    Console().print(diagnosis_tables(report))
    if json is not None:
        write_report(json, report)
    if plot is not None:
        plot_diagnosis(report, plot)
