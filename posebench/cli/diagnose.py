"""`posebench diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.cli import options
from posebench.suites.suite import MOST_REPLICATES


def diagnose_command(
    predictions: options.PredictionFiles,
    ann: options.AnnotationFile,
    dataset: options.AnnotatedKind = None,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw errors, costs and confidence: .png, .pdf, .svg.")
    ] = None,
    replicates: Annotated[
        int, typer.Option(min=1, max=MOST_REPLICATES, help="Resamples of the images.")
    ] = 1000,
    seed: options.ResampleSeed = 0,
    area_rule: options.AreaRule = None,
    format: options.ResultsFormat = "auto",
    category: Annotated[
        str | None, typer.Option(help="Its id or name, where several categories have keypoints.")
    ] = None,
) -> None:
    """Say what goes wrong in results files, and what each kind of error costs in AP."""
    from posebench.cli.choices import one_of
    from posebench.datasets.choices import AREA_RULES
    from posebench.files.writing import check_writable
    from posebench.reporting.figures.files import plot_diagnosis
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.tables.diagnosis_tables import diagnosis_tables
    from posebench.scoring.diagnosis.files import DiagnosisRequest, diagnose_files
    from posebench.scoring.files import write_report
    from posebench.scoring.formats.formats import FORMAT_CHOICES

    for path in (json, plot):
        if path is not None:
            check_writable(path)
    report = diagnose_files(
        DiagnosisRequest(
            predictions=tuple(predictions),
            annotations=ann,
            dataset=dataset,
            area_rule=one_of(area_rule, AREA_RULES, "--area-rule") if area_rule else None,
            replicates=replicates,
            seed=seed,
            category=category,
            format=one_of(format, FORMAT_CHOICES, "--format"),
        )
    )
    print_fitting(diagnosis_tables(report))
    if json is not None:
        write_report(json, report)
    if plot is not None:
        plot_diagnosis(report, plot)
