"""Keypoints, types of error and reliability of matched pairs, paradigm beside paradigm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from posebench.errors import PosebenchError
from posebench.evaluation.confidence import Calibration
from posebench.evaluation.detections import detections_from_results, no_detections
from posebench.evaluation.diagnosis import ErrorCost, diagnose, error_costs
from posebench.evaluation.matching import KIND_RULES
from posebench.evaluation.protocol import ScoringOptions, select_results
from posebench.evaluation.truth import ground_truth
from posebench.report.bars import BarRow, draw_bars
from posebench.report.contents import DataTable, Figure, LegendEntry, Panel, plain_table
from posebench.report.instances import RunData
from posebench.report.marks import PARADIGMS, bar_legend, paradigm_legend
from posebench.report.pairs import MatchedPair
from posebench.report.reliability import draw_reliability
from posebench.store import Run, StoredCell
from posebench.tables import NO_VALUE, points


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
    options = ScoringOptions(
        protocol.rescoring,  # type: ignore[arg-type]
        protocol.keypoint_threshold,
        protocol.nms,  # type: ignore[arg-type]
        protocol.nms_threshold,
    )
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
            values = [cell.keypoints[name] for cell in pair.cells]
            label = name.replace("_", " ")
            rows.append(BarRow(label, *values, *map(points, values)))  # type: ignore[arg-type]
            table.append((pair_title(pair), label, *map(points, values)))
        if rows:
            spoken = f"PCK of {len(rows)} keypoints, {_spoken(pair)}"
            panels.append(Panel(pair_title(pair), draw_bars(spoken, rows, 0.0, 1.0)))
    return _figure(
        panels,
        table,
        ("keypoint", "PCK@0.1"),
        Figure(
            id="keypoints",
            title="Keypoints by paradigm",
            caption=(
                "Share of labelled keypoints within a tenth of the longer box side (PCK@0.1), "
                "in points."
            ),
            panels=(),
            table=_EMPTY,
            legend=bar_legend(),
        ),
    )


def error_figure(pairs: Sequence[MatchedPair], diagnosed: Diagnosed) -> Figure | None:
    """Return the AP that each type of error costs by paradigm, one plot for each pair."""
    panels, table = [], []
    ends = [0.0, 0.02]
    drawn = []
    for pair, both in _both(pairs, diagnosed):
        rows = []
        for one, other in zip(both[0].costs, both[1].costs, strict=True):
            texts = [_signed(cost.alone) for cost in (one, other)]
            rows.append(BarRow(one.name, one.alone, other.alone, *texts))
            shares = [f"{cost.count} of {cost.out_of}" for cost in (one, other)]
            table.append((pair_title(pair), one.name, *texts, *shares))
            ends += [cost.alone for cost in (one, other) if cost.alone is not None]
        drawn.append((pair, rows))
    for pair, rows in drawn:
        spoken = f"AP regained by correcting each type of error, {_spoken(pair)}"
        panels.append(Panel(pair_title(pair), draw_bars(spoken, rows, min(ends), max(ends))))
    return _figure(
        panels,
        table,
        ("error", "AP regained", "count"),
        Figure(
            id="errors",
            title="Types of error",
            caption=(
                "Points of AP regained if one type of error alone were corrected. Keypoint errors "
                "after Ronchi & Perona 2017; wrong and missing persons after TIDE. They overlap, "
                "and so do not add up."
            ),
            panels=(),
            table=_EMPTY,
            legend=bar_legend(),
        ),
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
    return _figure(
        panels,
        table,
        ("of", "calibration error", "rank correlation"),
        Figure(
            id="reliability",
            title="Reliability of scores",
            caption=(
                "Mean OKS of the detections of a bin against their mean score: on the dotted "
                "line a score means what it says. SimCC scores are raw maxima, which may exceed 1; "
                "those count as 1."
            ),
            panels=(),
            table=_EMPTY,
            legend=paradigm_legend(cells),
        ),
    )


def pair_title(pair: MatchedPair) -> str:
    """Return a pair's name with what tells it from others."""
    result = pair.heatmap.result
    return f"{pair.name} · {result.size} {result.policy} · protocol {pair.letter}"


_EMPTY = DataTable("", (), ())


def _figure(
    panels: list[Panel],
    rows: list[tuple[str, ...]],
    names: tuple[str, ...],
    figure: Figure,
) -> Figure | None:
    """Return the figure with its plots and a table of numbers for both paradigms."""
    if not panels:
        return None
    headers = [("pair", False), (names[0], False)]
    headers += [(f"{what}, {label}", True) for what in names[1:] for label in PARADIGMS.values()]
    table = plain_table(figure.title, headers, rows)
    legend: tuple[LegendEntry, ...] = figure.legend
    return Figure(figure.id, figure.title, figure.caption, tuple(panels), table, legend)


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
