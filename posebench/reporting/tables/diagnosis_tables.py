"""The tables of `posebench diagnose`, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from posebench.reporting.tables.score_tables import data_lines
from posebench.reporting.text_tables import TextTable, cell_text, terminal_table
from posebench.reporting.texts import (
    NO_VALUE,
    estimate_text,
    file_labels,
    p_text,
    points,
    signed_points,
)
from posebench.scoring.diagnosis.corrections import ERROR_TYPES
from posebench.scoring.diagnosis.diagnosis_intervals import Difference, Estimate
from posebench.scoring.diagnosis.files import DiagnosisReport, ModelDiagnosis
from posebench.scoring.diagnosis.keypoint_errors import STATES
from posebench.scoring.keypoint_metrics import PCK_THRESHOLDS, KeypointMetrics


def diagnosis_tables(report: DiagnosisReport) -> RenderableType:
    """Return errors and their costs, differences, keypoints, strata and confidence, in points."""
    labels = file_labels(len(report.models))
    parts: list[RenderableType] = [cell_text(line) for line in _heading(report, labels)]
    for label, model in zip(labels, report.models, strict=True):
        parts += [Text(), _costs_table(label, model), cell_text(_costs_note(model))]
    for label, difference in zip(labels[1:], report.differences, strict=True):
        title = f"{label} − {labels[0]}"
        parts += [Text(), _differences_table(title, difference.shares, difference.regained)]
    for label, model in zip(labels, report.models, strict=True):
        parts += [Text(), _keypoints_table(label, model), Text(), _strata_table(label, model)]
        if model.calibration.ece is not None:
            parts += [Text(), _reliability_table(label, model)]
        parts += [Text(), cell_text(f"{label}: {_confidence_note(model)}")]
    parts += [Text(), *map(cell_text, _notes(report))]
    return Group(*parts)


def _heading(report: DiagnosisReport, labels: Sequence[str]) -> list[str]:
    lines = data_lines(report.data)
    for label, model in zip(labels, report.models, strict=True):
        lines.append(
            f"{label} = {model.path}: {model.detections} detections, AP {points(model.ap)}"
        )
        lines += [f"  {finding}" for finding in model.findings]
    return lines


def _costs_table(label: str, model: ModelDiagnosis) -> TextTable:
    header = [f"{label}: error", "count", "share", "", "AP regained alone", "in order"]
    rows = [
        [
            cost.name,
            str(cost.count),
            _estimate(model.estimates.shares[cost.name]),
            "of keypoints" if cost.name in STATES else "per person",
            _estimate(model.estimates.regained[cost.name], signed=True),
            signed_points(cost.in_order),
        ]
        for cost in model.costs
    ]
    return terminal_table(header, rows)


def _costs_note(model: ModelDiagnosis) -> str:
    reached = points(None if model.remaining is None else 1 - model.remaining)
    counts = {cost.name: cost.count for cost in model.costs}
    return (
        f"AP {points(model.ap)} as predicted, {reached} with all corrected in this order. The rest "
        f"({points(model.remaining)}) remains because corrections put no keypoint on its "
        f"label: {counts['miss']} misses lie at similarity 0.5 to it, {counts['jitter']} jitters "
        f"at 0.85, {counts['inversion']} inversions and {counts['swap']} swaps as near as they "
        "are to the wrong place."
    )


def _differences_table(
    title: str, shares: Mapping[str, Difference], regained: Mapping[str, Difference]
) -> TextTable:
    rows = []
    for name, difference in shares.items():
        cost = regained.get(name)
        loss = (_estimate(cost, signed=True), p_text(cost.p_holm)) if cost else ("", "")
        share = (_estimate(difference, signed=True), p_text(difference.p_holm))
        rows.append([name, *share, *loss])
    return terminal_table([title, "share", "p (Holm)", "AP regained alone", "p (Holm)"], rows)


def _keypoints_table(label: str, model: ModelDiagnosis) -> TextTable:
    thresholds = [f"PCK@{threshold:g}" for threshold in PCK_THRESHOLDS]
    header = [f"{label}: keypoint", "labelled", *thresholds, "error px", "median px", *STATES]
    rows = []
    for item in model.keypoints:
        states = model.keypoint_states[item.name]
        total = sum(states.values())
        shares = [points(count / total if total else None) for count in states.values()]
        rows.append([item.name, *_keypoint_cells(item), *shares])
    unseen = [""] * len(STATES)
    for name, item in model.visibility.items():
        rows.append([f"({name})", *_keypoint_cells(item), *unseen])
    return terminal_table(header, rows)


def _keypoint_cells(item: KeypointMetrics) -> list[str]:
    pixels = [item.endpoint_error, item.median_error]
    return [
        str(item.labelled),
        *(points(share) for share in item.pck.values()),
        *(NO_VALUE if value is None else f"{value:.1f}" for value in pixels),
    ]


def _strata_table(label: str, model: ModelDiagnosis) -> TextTable:
    thresholds = [f"PCK@{threshold:g}" for threshold in PCK_THRESHOLDS]
    header = [f"{label}: persons by", "", "persons", "AP", "AR", "OKS", *thresholds]
    rows, family = [], None
    for item in model.strata:
        numbers = (item.ap, item.ar, item.mean_oks, *item.pck.values())
        named = "" if item.family == family else item.family
        rows.append([named, item.name, str(item.persons), *map(points, numbers)])
        family = item.family
    return terminal_table(header, rows, words=2)


def _reliability_table(label: str, model: ModelDiagnosis) -> TextTable:
    rows = [
        [
            f"{item.low:.1f}-{item.high:.1f}",
            str(item.count),
            points(item.mean_score),
            points(item.mean_oks),
        ]
        for item in model.calibration.bins
    ]
    return terminal_table([f"{label}: score", "detections", "mean score", "mean OKS"], rows)


def _confidence_note(model: ModelDiagnosis) -> str:
    found = model.calibration
    lost = None if model.ap is None or model.oracle_ap is None else model.oracle_ap - model.ap
    rank = NO_VALUE if found.rank_correlation is None else f"{found.rank_correlation:.2f}"
    if found.ece is not None:
        scale = f"ECE {points(found.ece)} in {len(found.bins)} bins of equal width over 0-1"
    else:
        scale = "scores are not on a scale of 0-1, so only their order is judged"
    beyond = f" ({found.outside} of {found.detections} scores beyond it)" if found.outside else ""
    return (
        f"{scale}{beyond}; rank correlation of score and OKS {rank}; AP with OKS as score "
        f"{points(model.oracle_ap)}: scores alone cost {points(lost)}."
    )


def _notes(report: DiagnosisReport) -> list[str]:
    return [
        "Persons are found at OKS 0.1. Keypoints: good above 0.85 similarity to their label, "
        f"jitter from 0.5, misses below; errors: {', '.join(ERROR_TYPES)}.",
        "A correction leaves jitter at 0.85, misses at 0.5, inversions and swaps as near as they "
        "are to the wrong place; false positives are removed, missed persons no longer counted.",
        "Corrected scores are the OKS with the person a detection has, one to one, the most "
        "similar first, and 0 for the others.",
        "Strata: other persons are ignored, detections of nobody count against each stratum; "
        "PCK of the longer box side; pixels over persons found.",
        f"In brackets: 95% percentile intervals from {report.replicates} resamples of the images "
        f"(seed {report.seed}); differences are paired. All but pixels and counts in points.",
    ]


def _estimate(estimate: Estimate | Difference, *, signed: bool = False) -> str:
    return estimate_text(estimate.value, estimate.interval, signed=signed)
