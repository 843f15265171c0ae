"""Diagnoses of matched pairs, from a run's data and predictions, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from posebench.errors import PosebenchError
from posebench.files.records import record_from_mapping
from posebench.reporting.figures.errors import PairDiagnosis, cost_points
from posebench.reporting.page.contents import DataTable, plain_table
from posebench.reporting.page.instances import RunData
from posebench.reporting.page.pairs import MatchedPair, pair_title
from posebench.reporting.texts import NO_VALUE
from posebench.results.store import Run, StoredCell
from posebench.scoring.diagnosis.diagnosis import Diagnosis, diagnose, error_costs
from posebench.scoring.evaluate import ScoringOptions, select_results
from posebench.scoring.matching.detections import detections_from_results, no_detections
from posebench.scoring.matching.matching import KIND_RULES
from posebench.scoring.matching.truth import ground_truth


@dataclass(frozen=True)
class Diagnosed:
    """Pairs whose cells could both be diagnosed, and in words why others could not."""

    pairs: tuple[PairDiagnosis, ...]
    problems: tuple[str, ...]


def diagnose_pairs(run: Run, data: RunData, pairs: Sequence[MatchedPair]) -> Diagnosed:
    """Diagnose the cells of pairs; a pair that cannot be diagnosed is a problem, not an error."""
    found, problems = [], []
    for pair in pairs:
        sides = {}
        for paradigm, cell in zip(pair.paradigms, pair.cells, strict=True):
            try:
                diagnosis = _diagnose(run, data, cell)
            except PosebenchError as error:
                problems.append(str(error))
            else:
                sides.update({} if diagnosis is None else {paradigm: diagnosis})
        if len(sides) == len(pair.cells):
            costs = {paradigm: error_costs(side) for paradigm, side in sides.items()}
            calibrations = {paradigm: side.calibration for paradigm, side in sides.items()}
            found.append(PairDiagnosis(pair_title(pair), costs, calibrations))
    return Diagnosed(tuple(found), tuple(dict.fromkeys(problems)))


def _diagnose(run: Run, data: RunData, cell: StoredCell) -> Diagnosis | None:
    dataset, predictions = data.of(cell), run.predictions(cell)
    if dataset is None or predictions is None:
        return None
    protocol = cell.result.protocol
    scoring = {field.name: getattr(protocol, field.name) for field in fields(ScoringOptions)}
    options = record_from_mapping(ScoringOptions, scoring, where=cell.id)
    rows, joints = select_results(dataset, predictions, options), len(dataset.keypoints)
    detections = detections_from_results(rows, joints) if rows else no_detections(joints)
    assert detections is not None, "select_results refuses what is not finite"
    return diagnose(
        ground_truth(dataset),
        detections,
        dataset.keypoints.flip_indices,
        KIND_RULES[dataset.kind],
    )


def error_table(pairs: Sequence[PairDiagnosis]) -> DataTable:
    """Return the AP that each type of error costs, and how often it occurs."""
    rows = [
        (
            pair.title,
            costs[0].name,
            *(NO_VALUE if (v := cost_points(c)) is None else f"{v:+.1f}" for c in costs),
            *(f"{cost.count} of {cost.out_of}" for cost in costs),
        )
        for pair in pairs
        for costs in zip(*pair.costs.values(), strict=True)
    ]
    return _table("Types of error", ("error", "AP regained", "count"), rows)


def reliability_table(pairs: Sequence[PairDiagnosis]) -> DataTable:
    """Return how far scores are from OKS, and how well they order persons."""
    rows = [
        (
            pair.title,
            "all detections",
            *(_plain(side.ece, 3) for side in pair.calibrations.values()),
            *(_plain(side.rank_correlation, 2) for side in pair.calibrations.values()),
        )
        for pair in pairs
    ]
    return _table("Reliability of scores", ("of", "calibration error", "rank correlation"), rows)


def _table(caption: str, names: tuple[str, ...], rows: Sequence[Sequence[str]]) -> DataTable:
    """Return a table with columns for the pair, the first name, and the others by its side."""
    headers = [("pair", False), (names[0], False)]
    for what in names[1:]:
        headers += [(f"{what}, {side}", True) for side in ("first", "second")]
    return plain_table(caption, headers, rows)


def _plain(value: float | None, digits: int) -> str:
    return NO_VALUE if value is None else f"{value:.{digits}f}"
