"""Keypoints, types of error and reliability of matched pairs, paradigm beside paradigm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from posebench.errors import PosebenchError
from posebench.files.records import record_from_mapping
from posebench.reporting.page.contents import DataTable, Figure, Panel, plain_table
from posebench.reporting.page.drawing.bars import BarRow, draw_bars
from posebench.reporting.page.drawing.marks import PARADIGMS, bar_legend, paradigm_legend
from posebench.reporting.page.drawing.reliability import draw_reliability
from posebench.reporting.page.instances import RunData
from posebench.reporting.page.pairs import MatchedPair
from posebench.reporting.texts import NO_VALUE, points
from posebench.results.store import Run, StoredCell
from posebench.scoring.diagnosis.confidence import Calibration
from posebench.scoring.diagnosis.diagnosis import ErrorCost, diagnose, error_costs
from posebench.scoring.evaluate import ScoringOptions, select_results
from posebench.scoring.matching.detections import detections_from_results, no_detections
from posebench.scoring.matching.matching import KIND_RULES
from posebench.scoring.matching.truth import ground_truth


@dataclass(frozen=True, eq=False)
class CellDiagnosis:
    """What goes wrong in a cell's predictions, and what its scores are worth."""

    costs: tuple[ErrorCost, ...]
    calibration: Calibration


@dataclass(frozen=True)
class Diagnosed:
    """Diagnoses by cell id, and in words why others have none."""

    cells: dict[str, CellDiagnosis]
    problems: tuple[str, ...]


def diagnose_pairs(run: Run, data: RunData, pairs: Sequence[MatchedPair]) -> Diagnosed:
    """Diagnose the cells of pairs; what cannot be is a problem, not an error."""
    found: dict[str, CellDiagnosis] = {}
    problems = []
    for cell in (cell for pair in pairs for cell in pair.cells):
        try:
            diagnosis = _diagnose(run, data, cell)
        except PosebenchError as error:
            problems.append(str(error))
        else:
            found.update({} if diagnosis is None else {cell.id: diagnosis})
    return Diagnosed(found, tuple(dict.fromkeys(problems)))


def _diagnose(run: Run, data: RunData, cell: StoredCell) -> CellDiagnosis | None:
    dataset, predictions = data.of(cell), run.predictions(cell)
    if dataset is None or predictions is None:
        return None
    protocol = cell.result.protocol
    scoring = {field.name: getattr(protocol, field.name) for field in fields(ScoringOptions)}
    options = record_from_mapping(ScoringOptions, scoring, where=cell.id)
    rows, joints = select_results(dataset, predictions, options), len(dataset.keypoints)
    detections = detections_from_results(rows, joints) if rows else no_detections(joints)
    assert detections is not None, "select_results refuses what is not finite"
    diagnosis = diagnose(
        ground_truth(dataset),
        detections,
        dataset.keypoints.flip_indices,
        KIND_RULES[dataset.kind],
    )
    return CellDiagnosis(error_costs(diagnosis), diagnosis.calibration)


def keypoint_figure(pairs: Sequence[MatchedPair]) -> Figure | None:
    """Return PCK@0.1 of each keypoint by paradigm, one plot for each pair."""
    panels, table = [], []
    for pair in pairs:
        names = [n for n in pair.heatmap.keypoints if n in pair.simcc.keypoints]
        rows = []
        for name in names:
            one, other = (cell.keypoints[name] for cell in pair.cells)
            label = name.replace("_", " ")
            rows.append(BarRow(label, one, other, points(one), points(other)))
            table.append((pair_title(pair), label, points(one), points(other)))
        if rows:
            spoken = f"PCK of {len(rows)} keypoints, {_spoken(pair)}"
            panels.append(Panel(pair_title(pair), draw_bars(spoken, rows, 0.0, 1.0)))
    if not panels:
        return None
    return Figure(
        id="keypoints",
        title="Keypoints by paradigm",
        caption=(
            "Share of labelled keypoints within a tenth of the longer box side (PCK@0.1), "
            "in points."
        ),
        panels=tuple(panels),
        table=_table("Keypoints by paradigm", ("keypoint", "PCK@0.1"), table),
        legend=bar_legend(),
    )


def error_figure(pairs: Sequence[MatchedPair], diagnosed: Diagnosed) -> Figure | None:
    """Return the AP that each type of error costs by paradigm, one plot for each pair."""
    panels, table = [], []
    ends = [0.0, 0.02]
    drawn = []
    for pair, both in _both(pairs, diagnosed):
        rows = []
        for one, other in zip(both[0].costs, both[1].costs, strict=True):
            texts = _signed(one.alone), _signed(other.alone)
            rows.append(BarRow(one.name, one.alone, other.alone, *texts))
            shares = [f"{cost.count} of {cost.out_of}" for cost in (one, other)]
            table.append((pair_title(pair), one.name, *texts, *shares))
            ends += [cost.alone for cost in (one, other) if cost.alone is not None]
        drawn.append((pair, rows))
    for pair, rows in drawn:
        spoken = f"AP regained by correcting each type of error, {_spoken(pair)}"
        panels.append(Panel(pair_title(pair), draw_bars(spoken, rows, min(ends), max(ends))))
    if not panels:
        return None
    return Figure(
        id="errors",
        title="Types of error",
        caption=(
            "Points of AP regained if one type of error alone were corrected. Keypoint errors "
            "after Ronchi & Perona 2017; wrong and missing persons after TIDE. They overlap, "
            "and so do not add up."
        ),
        panels=tuple(panels),
        table=_table("Types of error", ("error", "AP regained", "count"), table),
        legend=bar_legend(),
    )


def reliability_figure(pairs: Sequence[MatchedPair], diagnosed: Diagnosed) -> Figure | None:
    """Return what scores are worth in OKS by paradigm, one plot for each pair."""
    panels, table = [], []
    for pair, both in _both(pairs, diagnosed):
        found = {name: one.calibration for name, one in zip(PARADIGMS, both, strict=True)}
        spoken = f"Mean OKS against mean score, {_spoken(pair)}"
        panels.append(Panel(pair_title(pair), draw_reliability(spoken, found)))
        errors = [_plain(one.calibration.ece, 3) for one in both]
        ranks = [_plain(one.calibration.rank_correlation, 2) for one in both]
        table.append((pair_title(pair), "all detections", *errors, *ranks))
    cells = [cell for pair in pairs for cell in pair.cells]
    if not panels:
        return None
    return Figure(
        id="reliability",
        title="Reliability of scores",
        caption=(
            "Mean OKS of the detections of a bin against their mean score: on the dotted "
            "line a score means what it says. SimCC scores are raw maxima, which may exceed 1; "
            "those count as 1."
        ),
        panels=tuple(panels),
        table=_table(
            "Reliability of scores", ("of", "calibration error", "rank correlation"), table
        ),
        legend=paradigm_legend(cells),
    )


def pair_title(pair: MatchedPair) -> str:
    """Return a pair's name with what tells it from others."""
    result = pair.heatmap.result
    return f"{pair.name} · {result.size} {result.policy} · protocol {pair.letter}"


def _table(caption: str, names: tuple[str, ...], rows: Sequence[Sequence[str]]) -> DataTable:
    """Return numbers of both paradigms: the pair, what `names` begins with, the others twice."""
    headers = [("pair", False), (names[0], False)]
    headers += [(f"{what}, {label}", True) for what in names[1:] for label in PARADIGMS.values()]
    return plain_table(caption, headers, rows)


def _both(
    pairs: Sequence[MatchedPair], diagnosed: Diagnosed
) -> Iterator[tuple[MatchedPair, tuple[CellDiagnosis, CellDiagnosis]]]:
    for pair in pairs:
        one, other = (diagnosed.cells.get(cell.id) for cell in pair.cells)
        if one is not None and other is not None:
            yield pair, (one, other)


def _spoken(pair: MatchedPair) -> str:
    names = " and ".join(cell.result.checkpoint.name for cell in pair.cells)
    return f"{names}. The table below has the numbers."


def _signed(value: float | None) -> str:
    # Rounded first: a loss too small to see is not minus nothing.
    return NO_VALUE if value is None else f"{np.round(100 * value, 1) + 0.0:+.1f}"


def _plain(value: float | None, digits: int) -> str:
    return NO_VALUE if value is None else f"{value:.{digits}f}"
