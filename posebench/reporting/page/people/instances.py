"""Load a run's data again, and score a pair's predictions person by person. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import PoseDataset
from posebench.datasets.requests import load_pose_dataset
from posebench.errors import DataError, PosebenchError
from posebench.files.records import record_from_mapping
from posebench.prediction.predictions import Predictions
from posebench.reporting.page.pairs import CellPair
from posebench.results.cell import Protocol
from posebench.results.store import Run, StoredCell
from posebench.running.trained.places import with_places
from posebench.running.workload import data_requests
from posebench.scoring.evaluate import ScoringOptions, select
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.oks import Pairs
from posebench.scoring.matching.pairing import all_pairs
from posebench.scoring.matching.truth import GroundTruth, ground_truth
from posebench.suites.shipped import folder_of

DataKey = tuple[str, int, str, str | None, int]
"""Annotations, number of images, corruption, record and category: what makes the data of a cell."""


@dataclass(frozen=True, eq=False)
class RunData:
    """The data sets of a run that are still there, by what makes them.

    `problems` say in words which are not.
    """

    datasets: Mapping[DataKey, PoseDataset]
    problems: tuple[str, ...] = ()

    def of(self, cell: StoredCell) -> PoseDataset | None:
        """Return a cell's data set, or None if it is gone or has changed."""
        return self.datasets.get(_key(cell.result.protocol))


@dataclass(frozen=True, eq=False)
class PairInstances:
    """N persons that both cells of a pair predicted.

    `persons` (N,) are rows of `truth`; `oks` (2, N) of the first and of the second cell's
    pose with that person; `predictions` those of both, in the same order.
    """

    dataset: PoseDataset
    truth: GroundTruth
    persons: NDArray[np.int64]
    oks: NDArray[np.float64]
    predictions: tuple[Predictions, Predictions]


def load_run_data(run: Run, roots: Mapping[str, Path] | None = None) -> RunData:
    """Load the data sets of a run by way of its suite; one that cannot be loaded is a problem.

    `roots` maps training data to folders, in the place of those where the run found them.
    """
    found: dict[DataKey, PoseDataset] = {}
    problems = []
    try:
        folder = folder_of(run.record.source)
    except PosebenchError as error:
        return RunData(
            found, (f"The run's suite is gone, and with it the way to the data: {error}",)
        )
    wanted = {_key(cell.result.protocol) for cell in run.cells}
    suite = with_places(run.record.suite, run.folder, roots)
    for request in data_requests(suite, folder, run.record.limit):
        try:
            dataset = load_pose_dataset(request, _unseen)
        except PosebenchError as error:
            problems.append(f"{request.dataset} cannot be read: {error}")
            continue
        key = (
            dataset.annotations_sha256,
            len(dataset.images),
            dataset.reading.corruption,
            None if dataset.known is None else dataset.known.name,
            dataset.category.id,
        )
        if key in wanted:
            found[key] = dataset
        else:
            problems.append(f"The annotations of {request.dataset} are not those of the run.")
    return RunData(found, tuple(dict.fromkeys(problems)))


def _unseen(done: int, total: int) -> None:
    """Show nothing of the rendering of a synthetic set that is no longer in the cache."""
    del done, total


def _key(protocol: Protocol) -> DataKey:
    """Return what makes the data of a cell: one file may hold several parts and categories."""
    return (
        protocol.annotations_sha256,
        protocol.images,
        protocol.corruption,
        protocol.record,
        protocol.category,
    )


def pair_instances(run: Run, data: RunData, pair: CellPair) -> PairInstances:
    """Return the persons of a pair.

    With ground-truth boxes an instance is its own person; with detected ones it is the person of
    its image that the two poses together resemble most, and of a person's instances the most
    similar one is returned. Raises `PosebenchError` if data or
    predictions are not there.
    """
    dataset = data.of(pair.cells[0])
    if dataset is None:
        raise DataError("The data set of this run is not here.")
    one, other = (cell.result.protocol for cell in pair.cells)
    sides = [(_key(each), each.boxes, each.instances) for each in (one, other)]
    if sides[0] != sides[1]:
        raise DataError("The two cells are of different persons or boxes.")
    both = [kept_predictions(run, cell) for cell in pair.cells]
    _, first, second = np.intersect1d(both[0].ids, both[1].ids, return_indices=True)
    predictions = (_subset(both[0], first), _subset(both[1], second))
    truth = ground_truth(dataset)
    similar = [all_pairs(truth, _detections(found)) for found in predictions]
    if pair.cells[0].result.protocol.boxes_sha256 is None:
        rows = {int(name): row for row, name in enumerate(truth.ids)}
        persons = np.array([rows[int(name)] for name in predictions[0].ids], dtype=np.int64)
    else:
        persons = most_similar(similar, len(first), ~truth.ignored)
    oks = np.zeros((2, len(first)))
    for index, pairs in enumerate(similar):
        own = pairs.person == persons[pairs.detection]
        oks[index, pairs.detection[own]] = pairs.oks[own]
    known = best_of_each(persons, oks.sum(axis=0))
    return PairInstances(
        dataset,
        truth,
        persons[known],
        oks[:, known],
        (_subset(predictions[0], known), _subset(predictions[1], known)),
    )


def scored_detections(
    cell: StoredCell, dataset: PoseDataset, predictions: Predictions
) -> Detections:
    """Return what a cell's scores were made of: its predictions after rescoring and NMS.

    Raises `EvaluationError` if predictions and data do not fit.
    """
    protocol = cell.result.protocol
    scoring = {field.name: getattr(protocol, field.name) for field in fields(ScoringOptions)}
    options = record_from_mapping(ScoringOptions, scoring, where=cell.id)
    return select(dataset, predictions, options).columns().of(dataset.category.id)


def most_similar(
    similar: Sequence[Pairs], count: int, among: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return for each of `count` detections the person of highest summed OKS, -1 for none."""
    detection = np.concatenate([pairs.detection for pairs in similar])
    person = np.concatenate([pairs.person for pairs in similar])
    oks = np.concatenate([pairs.oks for pairs in similar])
    keys, where = np.unique(detection * len(among) + person, return_inverse=True)
    total = np.bincount(where, oks, minlength=len(keys))
    detection, person = np.divmod(keys, len(among))
    order = np.lexsort((total, detection))
    order = order[among[person[order]]]
    persons = np.full(count, -1, dtype=np.int64)
    persons[detection[order]] = person[order]  # the last of a detection, its best, stays
    return persons


def best_of_each(persons: NDArray[np.int64], oks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of N instances is the most similar one of its person, the first of equals.

    `persons` (N,) are -1 where there is none, `oks` (N,) how similar each is.
    """
    order = np.lexsort((np.arange(len(persons)), -oks, persons))
    _, first = np.unique(persons[order], return_index=True)
    best = np.zeros(len(persons), dtype=bool)
    best[order[first]] = True
    return best & (persons >= 0)


def kept_predictions(run: Run, cell: StoredCell) -> Predictions:
    """Return the predictions of a cell.

    Raises `DataError` if they are gone, as they are where only results are handed on, or damaged.
    """
    if cell.predictions is None or not run.keeps_predictions(cell):
        raise DataError(
            "The predictions of this run are not in its folder.", hint="Run the suite again."
        )
    predictions = run.predictions(cell)
    assert predictions is not None, "the cell names them"
    return predictions


def _subset(predictions: Predictions, rows: NDArray[Any]) -> Predictions:
    return Predictions(**{name: values[rows] for name, values in vars(predictions).items()})


def _detections(predictions: Predictions) -> Detections:
    return Detections(
        image_ids=predictions.image_ids,
        keypoints=predictions.keypoints.astype(np.float64),
        keypoint_scores=predictions.keypoint_scores.astype(np.float64),
        scores=predictions.bbox_scores.astype(np.float64),
        areas=predictions.areas.astype(np.float64),
    )
