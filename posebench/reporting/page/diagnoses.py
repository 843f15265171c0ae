"""Diagnoses of matched pairs, from a run's data and predictions, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posebench.errors import DataError, PosebenchError
from posebench.reporting.figures.errors import PairDiagnosis, cost_points
from posebench.reporting.figures.values import protocol_line
from posebench.reporting.page.contents import DataTable, plain_table
from posebench.reporting.page.pairs import CellPair, pair_title
from posebench.reporting.page.people.instances import RunData, kept_predictions, scored_detections
from posebench.reporting.texts import NO_VALUE
from posebench.results.store import Run, StoredCell
from posebench.scoring.diagnosis.diagnosis import Diagnosis, diagnose, error_costs
from posebench.scoring.matching.matching import KIND_RULES
from posebench.scoring.matching.truth import ground_truth


@dataclass(frozen=True)
class Diagnosed:
    """Pairs whose cells could both be diagnosed, and in words why others could not."""

    pairs: tuple[PairDiagnosis, ...]
    problems: tuple[str, ...]


def diagnose_pairs(run: Run, data: RunData, pairs: Sequence[CellPair]) -> Diagnosed:
    """Diagnose the cells of pairs; a pair that cannot be diagnosed is a problem, not an error."""
    found, problems = [], []
    known: dict[str, Diagnosis | None] = {}
    for pair in pairs:
        sides = {}
        for name, cell in zip(pair.names, pair.cells, strict=True):
            try:
                if cell.id not in known:
                    known[cell.id] = _diagnose(run, data, cell)
                diagnosis = known[cell.id]
            except PosebenchError as error:
                problems.append(str(error))
            else:
                sides.update({} if diagnosis is None else {name: diagnosis})
        if len(sides) == len(pair.cells):
            costs = {name: error_costs(side) for name, side in sides.items()}
            calibrations = {name: side.calibration for name, side in sides.items()}
            protocol = protocol_line([cell.result for cell in pair.cells])
            found.append(PairDiagnosis(pair_title(pair), protocol, costs, calibrations))
    return Diagnosed(tuple(found), tuple(dict.fromkeys(problems)))


def _diagnose(run: Run, data: RunData, cell: StoredCell) -> Diagnosis | None:
    dataset = data.of(cell)
    if dataset is None:
        return None
    if dataset.together:
        raise DataError(f"Types of error are told for one category; {dataset.name} has several.")
    predictions = kept_predictions(run, cell)
    return diagnose(
        ground_truth(dataset),
        scored_detections(cell, dataset, predictions),
        dataset.keypoints.flip_indices,
        KIND_RULES[dataset.kind],
    )


def error_table(pairs: Sequence[PairDiagnosis]) -> DataTable:
    """Return the AP that each type of error costs, and how often it occurs."""
    rows = [
        (
            costs[0].name,
            name,
            NO_VALUE if (value := cost_points(cost)) is None else f"{value:+.1f}",
            f"{cost.count} of {cost.out_of}",
            pair.title,
        )
        for pair in pairs
        for costs in zip(*pair.costs.values(), strict=True)
        for name, cost in zip(pair.costs, costs, strict=True)
    ]
    headers = [
        ("error", False), ("checkpoint", False), ("AP regained", True), ("count", True),
        ("pair", False),
    ]  # fmt: skip
    return plain_table("Types of error", headers, rows)


def reliability_table(pairs: Sequence[PairDiagnosis]) -> DataTable:
    """Return how far scores are from OKS, and how well they order persons."""
    rows = [
        (name, _plain(side.ece, 3), _plain(side.rank_correlation, 2), pair.title)
        for pair in pairs
        for name, side in pair.calibrations.items()
    ]
    headers = [
        ("checkpoint", False), ("calibration error", True), ("rank correlation", True),
        ("pair", False),
    ]  # fmt: skip
    return plain_table("Reliability of scores, all detections", headers, rows)


def _plain(value: float | None, digits: int) -> str:
    return NO_VALUE if value is None else f"{value:.{digits}f}"
