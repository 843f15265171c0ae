"""Every annotated person with what each checkpoint made of them: OKS, types of error, pose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import PoseDataset
from posebench.errors import DataError, PosebenchError
from posebench.reporting.figures.values import is_as_trained, score_value, worth_of
from posebench.reporting.page.people.instances import (
    RunData,
    kept_predictions,
    scored_detections,
)
from posebench.results.store import Run, StoredCell
from posebench.scoring.diagnosis.keypoint_errors import STATES, found_persons, keypoint_errors
from posebench.scoring.diagnosis.strata import SIZES, overlapping_boxes
from posebench.scoring.matching.matching import KIND_RULES
from posebench.scoring.matching.pairing import all_pairs
from posebench.scoring.matching.truth import GroundTruth, ground_truth

# What may be wrong with a person's pose, each a bit of `CellPersons.errors`.
NOT_FOUND = "not found"
ERRORS: tuple[str, ...] = (*STATES[1:], NOT_FOUND)
CROWDING: Mapping[str, tuple[int, float]] = {
    "alone": (0, 0),
    "1–2 overlap": (1, 2),
    "3 or more overlap": (3, np.inf),
}


@dataclass(frozen=True, eq=False)
class CellPersons:
    """What a cell made of G persons: `oks` (G,), `errors` (G,) bits of `ERRORS`, `keypoints`.

    The last are (G, K, 2) in image pixels, NaN where the person was not found (OKS below 0.1).
    """

    oks: NDArray[np.float64]
    errors: NDArray[np.int64]
    keypoints: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Persons:
    """The persons of one data set with one source of boxes, and each checkpoint's cell on them.

    `rows` (P,) are those of `truth` that count; `size` and `crowding` (P,) positions in `SIZES` and
    `CROWDING`; `cells` and `found` are by checkpoint.
    """

    name: str
    dataset: PoseDataset
    truth: GroundTruth
    rows: NDArray[np.int64]
    size: NDArray[np.int64]
    crowding: NDArray[np.int64]
    cells: Mapping[str, StoredCell]
    found: Mapping[str, CellPersons]


def all_persons(run: Run, data: RunData) -> tuple[list[Persons], list[str]]:
    """Return the persons of a run by data and boxes, and in words which cells are left out.

    Each checkpoint has one cell there: as it was trained, if that was run, or else that of the
    highest AP.
    """
    groups: dict[tuple[str | int | None, ...], dict[str, StoredCell]] = {}
    measured = [cell for cell in run.cells if score_value(cell.result) is not None]
    for cell in sorted(measured, key=_preference):
        protocol = cell.result.protocol
        part = protocol.record, protocol.category
        key = protocol.annotations_sha256, protocol.boxes, protocol.images, *part
        groups.setdefault(key, {}).setdefault(cell.result.checkpoint.name, cell)
    order = list(dict.fromkeys(cell.result.checkpoint.name for cell in run.cells))
    found, problems = [], []
    for cells in groups.values():
        named = {name: cells[name] for name in order if name in cells}
        try:
            persons, lost = _persons(run, data, named)
            found.append(persons)
            problems += lost
        except PosebenchError as error:
            problems.append(str(error))
    return found, list(dict.fromkeys(problems))


def _preference(cell: StoredCell) -> tuple[bool, bool, float]:
    result = cell.result
    own = result.has_own_decoder is not False
    return not is_as_trained(result), not own, -worth_of(result)


def _persons(run: Run, data: RunData, cells: Mapping[str, StoredCell]) -> tuple[Persons, list[str]]:
    first = next(iter(cells.values()))
    dataset = data.of(first)
    if dataset is None:
        raise DataError(f"The data set {first.result.protocol.dataset} of this run is not here.")
    truth = ground_truth(dataset)
    found, problems = {}, []
    for name, cell in cells.items():
        try:
            found[name] = _of_cell(run, cell, dataset, truth)
        except PosebenchError as error:
            problems.append(str(error))
    if not found:
        raise DataError("; ".join(dict.fromkeys(problems)))
    rows = np.flatnonzero(~truth.ignored)
    sizes = np.array([high for _, high in SIZES.values()])
    overlaps = overlapping_boxes(truth)[rows]
    ends = np.array([high for _, high in CROWDING.values()])
    protocol = first.result.protocol
    persons = Persons(
        f"{protocol.dataset}, boxes {protocol.boxes}",
        dataset,
        truth,
        rows,
        np.minimum(np.searchsorted(sizes, truth.areas[rows]), len(sizes) - 1),
        np.searchsorted(ends, overlaps),
        {name: cells[name] for name in found},
        {name: _rows_of(each, rows) for name, each in found.items()},
    )
    return persons, problems


def _of_cell(run: Run, cell: StoredCell, dataset: PoseDataset, truth: GroundTruth) -> CellPersons:
    """Return what a cell made of every person, matched as the types of error are counted."""
    detections = scored_detections(cell, dataset, kept_predictions(run, cell))
    found = found_persons(truth, detections, KIND_RULES[dataset.kind])
    known = keypoint_errors(truth, detections, found, dataset.keypoints.flip_indices)
    count, joints = truth.keypoints.shape[:2]
    errors = np.full(count, 1 << ERRORS.index(NOT_FOUND))
    bits = [(known.state == code).any(axis=1) << (code - 1) for code in range(1, len(STATES))]
    errors[known.person] = np.bitwise_or.reduce(np.array(bits, dtype=np.int64), axis=0)
    keypoints = np.full((count, joints, 2), np.nan)
    keypoints[known.person] = detections.keypoints[known.detection]
    owner = np.full(max(len(detections), 1), -1)
    owner[known.detection] = known.person
    pairs = all_pairs(truth, detections)
    own = owner[pairs.detection] == pairs.person
    oks = np.zeros(count)
    oks[pairs.person[own]] = pairs.oks[own]
    return CellPersons(oks, errors, keypoints)


def _rows_of(each: CellPersons, rows: NDArray[np.int64]) -> CellPersons:
    return CellPersons(each.oks[rows], each.errors[rows], each.keypoints[rows])


def spread(persons: Persons) -> NDArray[np.float64]:
    """Return how much the OKS of a person (P,) differs between checkpoints."""
    oks = np.array([each.oks for each in persons.found.values()])
    apart: NDArray[np.float64] = oks.max(axis=0) - oks.min(axis=0)
    return apart


def by_interest(groups: Sequence[Persons]) -> list[tuple[int, int]]:
    """Return group and row of all persons: first where checkpoints differ, then the worst."""
    keyed = []
    for place, persons in enumerate(groups):
        mean = np.mean([each.oks for each in persons.found.values()], axis=0)
        apart = np.round(spread(persons), 6)
        keyed += [(-apart[i], mean[i], place, i) for i in range(len(persons.rows))]
    return [(place, row) for _, _, place, row in sorted(keyed)]
