"""The tables of `posebench score`, for the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType

from posebench.reporting.tables.results_table import FEW_IMAGES
from posebench.reporting.text_tables import TextTable, cell_text, terminal_table
from posebench.reporting.texts import NO_VALUE, estimate_text, file_labels, p_text
from posebench.results.numbers import number_named
from posebench.scoring.files import DataFacts, FileScore, ScoreReport
from posebench.scoring.statistics.estimates import Estimate
from posebench.scoring.statistics.intervals import CONFIDENCE
from posebench.scoring.units import POINTS, Unit


def score_tables(report: ScoreReport) -> RenderableType:
    """Return the scores in points with their intervals, differences, and official columns."""
    parts: list[RenderableType] = [cell_text(line) for line in _heading(report)]
    parts += [_metrics_table(report), *map(cell_text, _notes(report))]
    if len(report.data.categories) > 1:
        parts += ["", _categories_table(report)]
    parts += [
        _official_table(label, score)
        for label, score in zip(file_labels(len(report.scores)), report.scores, strict=True)
        if score.official is not None
    ]
    return Group(*parts)


def data_lines(data: DataFacts) -> list[str]:
    """Return a report's first lines: its annotations, the rules they count by, and what is odd."""
    return [
        f"{data.annotations}: {data.images} images, {data.persons} persons, "
        f"keypoints {data.keypoints}, {data.kind} rules, area of the {data.area_rule}",
        *(f"  {finding}" for finding in data.findings),
    ]


def _heading(report: ScoreReport) -> list[str]:
    lines = data_lines(report.data)
    for label, score in zip(file_labels(len(report.scores)), report.scores, strict=True):
        lines.append(
            f"{label} = {score.path}: {score.detections} detections, read as {score.format}"
        )
        if left_out := score.detections - score.scored:
            lines.append(f"  note: {left_out} of them are not scored (beyond 20 of an image)")
        lines += [f"  {finding}" for finding in score.findings]
    return lines


def _metrics_table(report: ScoreReport) -> TextTable:
    labels = file_labels(len(report.scores))
    units = [number_named(name).unit for name in report.scores[0].metrics]
    header = ["points" if POINTS in units else "", *labels]
    for label in labels[1:]:
        header += [f"{label} − {labels[0]}", "p (Holm)"]
    rows = []
    for name in report.scores[0].metrics:
        unit = number_named(name).unit
        cells = [_with_interval(score.metrics[name], unit) for score in report.scores]
        for difference in report.differences:
            estimate = difference.metrics[name]
            cells += [_with_interval(estimate, unit, signed=True), p_text(estimate.p_holm)]
        rows.append([name if unit == POINTS else f"{name} ({unit.word})", *cells])
    return terminal_table(header, rows)


def _categories_table(report: ScoreReport) -> TextTable:
    """Return AP, or the first number without it, of each category and of all: their mean."""
    main = next(iter(report.scores[0].metrics))
    unit = number_named(main).unit
    rows = [
        [name, *(_with_interval(score.categories[name][main], unit) for score in report.scores)]
        for name in report.data.categories
    ]
    rows.append(["mean", *(_with_interval(score.metrics[main], unit) for score in report.scores)])
    return terminal_table([f"{main} of category", *file_labels(len(report.scores))], rows)


def _with_interval(estimate: Estimate, unit: Unit, *, signed: bool = False) -> str:
    return estimate_text(estimate.value, estimate.interval, signed=signed, unit=unit)


def _notes(report: ScoreReport) -> list[str]:
    resampling = report.resampling
    kind = {"percentile": "percentile", "bca": "BCa"}[resampling.interval]
    lines = [
        f"In brackets: {CONFIDENCE:.0%} {kind} intervals from {resampling.replicates} resamples "
        f"of images, seed {resampling.seed}; scored by {report.data.evaluator}."
    ]
    if not resampling.replicates:
        lines = [f"Scored by {report.data.evaluator}, without intervals."]
    family = [
        estimate
        for difference in report.differences
        for estimate in difference.metrics.values()
        if estimate.p is not None
    ]
    if resampling.replicates and report.data.images < FEW_IMAGES:
        lines.append(f"With {report.data.images} images, intervals are too narrow to be trusted.")
    if family:
        lines.append(
            "Differences are paired (same resamples); p is two-sided, adjusted by Holm over "
            f"{len(family)} differences."
        )
        least = 2 * len(family) / (resampling.replicates + 1)
        if least > 1 - CONFIDENCE:
            lines.append(
                f"No adjusted p can be below {least:.2f} with so few resamples: ask for more "
                "with --replicates."
            )
    return lines


def _official_table(label: str, score: FileScore) -> TextTable:
    """Return our numbers beside the official evaluator's, as fractions with all their digits."""
    official = score.official or {}
    rows = [
        [
            name,
            _digits(estimate.value),
            _digits(official.get(name)),
            _gap(estimate.value, official, name),
        ]
        for name, estimate in score.metrics.items()
    ]
    return terminal_table([label, "posebench", score.official_evaluator or "", "difference"], rows)


def _digits(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.14f}"


def _gap(value: float | None, official: dict[str, float | None], name: str) -> str:
    """Show the difference of two fractions, or which of them is missing."""
    if name not in official:
        return "not reported"
    theirs = official[name]
    if value is None and theirs is None:
        return "none in both"
    return NO_VALUE if value is None or theirs is None else f"{value - theirs:.1e}"
