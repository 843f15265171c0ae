"""What each field of a cell's protocol is worth, measured by switching one at a time.

Scoring is switched on kept predictions. What the network needs is switched where its predictions
are kept, in the run or in the user's cache, and otherwise only if the network may run.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from posebench.datasets.boxes import detected_instances
from posebench.datasets.choices import BoxFilter
from posebench.datasets.coco import PoseDataset
from posebench.errors import DataError, PosebenchError, in_one_line
from posebench.prediction.execution import Progress
from posebench.prediction.predictions import Predictions
from posebench.results.explaining.fields import FIELDS
from posebench.results.explaining.measured import Measured
from posebench.results.numbers import AP
from posebench.results.store import PREDICTIONS, Run, StoredCell, read_run
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Storage
from posebench.running.plan import Place, plan_suite
from posebench.running.request import ProgressDisplay, RunRequest
from posebench.running.run_suite import run_suite
from posebench.running.switches.switched import CellSuite, cell_suite, switched
from posebench.running.workload import Workload, suite_workloads
from posebench.scoring.evaluate import EVALUATORS, ScoringOptions, evaluate

_FILTERS = {
    "min_box_score": "min_score",
    "box_nms": "nms_threshold",
    "max_boxes": "max_per_image",
}


@dataclass(frozen=True)
class NetworkSwitches:
    """Measures cells of runs with fields switched, and says where answers of networks may be.

    `may_run` lets networks run; `raw` is a folder of raw outputs (`eval --save-raw`), `shared` the
    user's predictions.
    """

    progress: Progress
    may_run: bool = False
    raw: Path | None = None
    shared: Path | None = None

    def board(self, run: Run, cell: StoredCell) -> Switchboard:
        """Return a cell's data and switches.

        Raises `PosebenchError` if its data or predictions are not there.
        """
        return Switchboard(self, run, cell)

    def boxes_file(self, run: Run, cell: StoredCell) -> Path:
        """Return the file of detected boxes that a cell was evaluated with."""
        own = cell_suite(run, cell)
        return own.folder / own.suite.boxes_entries[0].file

    def places(self, run: Run) -> tuple[Storage, ...]:
        """Where answers of a run's networks may be kept: their outputs, or predictions."""
        own = Storage(None, run.folder / PREDICTIONS, self.shared)
        return (own,) if self.raw is None else (own, Storage(self.raw))


class Switchboard:
    """Measures one cell of a run with fields switched; its data are loaded once.

    Making it raises `PosebenchError` if data or predictions of the cell are not there.
    """

    def __init__(self, switches: NetworkSwitches, run: Run, cell: StoredCell) -> None:
        self._switches = switches
        self._run = run
        self._suite = cell_suite(run, cell)
        suite = self._suite
        workloads = suite_workloads(suite.suite, suite.folder, suite.limit, switches.progress)
        self._workload = workloads[0]
        if self.dataset.annotations_sha256 != cell.result.protocol.annotations_sha256:
            raise DataError(f"The annotations of {cell.id} have changed since it was run.")
        predictions = run.predictions(cell)
        if predictions is None:
            raise DataError(f"The run keeps no predictions of {cell.id}.", hint="Run it again.")
        self.predictions = predictions

    @property
    def dataset(self) -> PoseDataset:
        """The data that the cell was evaluated on."""
        return self._workload.dataset

    @property
    def scoring(self) -> ScoringOptions:
        """How its predictions were scored."""
        return self._workload.scoring

    def measure(self, field: str, value: Any) -> Measured:
        """Return the cell with a field switched to a value; a failure is its `reason`."""
        kind = FIELDS[field]
        try:
            if kind == "scoring":
                return self._rescored(field, value)
            if kind == "boxes filter":
                return self._filtered(field, value)
            if kind == "network":
                return self._run_again(field, value)
        except PosebenchError as error:
            return Measured(field, value, reason=in_one_line(error))
        return Measured(field, value, reason="it cannot be switched")

    def _rescored(self, field: str, value: Any) -> Measured:
        dataset, options = _switched_scoring(self._workload, field, value)
        return _scored(field, value, dataset, self.predictions, options, "kept predictions scored")

    def _filtered(self, field: str, value: Any) -> Measured:
        boxes = self._suite.suite.boxes_entries[0]
        own = BoxFilter(boxes.min_score, boxes.nms_threshold, boxes.max_per_image)
        value = 0.0 if value is None and field == "min_box_score" else value
        asked = replace(own, **{_FILTERS[field]: value})
        dataset = self.dataset
        kept = detected_instances(dataset, self._suite.folder / boxes.file, asked)
        rows = np.isin(self.predictions.ids, kept.ids)
        if rows.sum() != len(kept):
            return self._run_again(field, value)
        fewer = Predictions(**{k: v[rows] for k, v in vars(self.predictions).items()})
        how = "kept predictions of fewer boxes"
        return _scored(field, value, dataset, fewer, self.scoring, how)

    def _run_again(self, field: str, value: Any) -> Measured:
        """Return what the network says under a field, from what is kept if that is there."""
        with tempfile.TemporaryDirectory(prefix="posebench-explain-") as folder:
            suite = self._other(field, value, Path(folder))
            places = (self._kept(suite, place) for place in self._switches.places(self._run))
            kept = next((place for place in places if place is not None), None)
            if kept is None and not self._switches.may_run:
                return Measured(field, value, reason="it needs the network (--run)")
            run = self._evaluated(suite, kept, Path(folder))
            (stored,) = run.cells
            result = stored.result
            if result.status != "ok":
                return Measured(field, value, reason=result.reason or result.status)
            how = "the network run again" if kept is None else "kept answers of the network"
            ap = (result.metrics or {}).get(AP)
            return Measured(field, value, run.table(stored), ap, run.predictions(stored), how)

    def _other(self, field: str, value: Any, work: Path) -> CellSuite:
        if field in _FILTERS:
            boxes = self._suite.suite.boxes_entries[0]
            changed = replace(boxes, **{_FILTERS[field]: value})
            return replace(self._suite, suite=replace(self._suite.suite, boxes=(changed,)))
        return switched(self._suite, field, value, work)

    def _kept(self, cell: CellSuite, storage: Storage) -> Storage | None:
        """Return the storage, by the folder that has the only cell's answers, None without any."""
        place = Place(cell.folder, storage, cell.limit)
        planned = plan_suite(cell.suite, place, LoadedCheckpoints(), self._switches.progress).cells[
            0
        ]
        if planned.network is None or planned.result.status != "ok":
            return None
        if planned.runs.raw is not None:
            return storage if planned.runs.raw.is_complete else None
        file = planned.runs.files.get(planned.decoder)
        if file is None or not file.is_kept:
            return None
        return Storage(None, None, file.places[0].parent)

    def _evaluated(self, cell: CellSuite, kept: Storage | None, out: Path) -> Run:
        """Evaluate a suite of one cell into a folder; new predictions go to the user's cache."""
        found = kept or Storage(shared=self._switches.shared)
        storage = replace(found, predictions=out / PREDICTIONS)
        request = RunRequest(
            cell.suite, (), cell.folder, out, limit=cell.limit, storage=storage, source=str(out)
        )
        run_suite(request, ProgressDisplay(self._switches.progress))
        return read_run(out)


def _switched_scoring(
    workload: Workload, field: str, value: Any
) -> tuple[PoseDataset, ScoringOptions]:
    """Return data set and options with one field of scoring switched."""
    dataset, options = workload.dataset, workload.scoring
    if field == "sigmas":
        if len(value) != len(dataset.keypoints.sigmas):
            raise DataError("the other sigmas are of other keypoints")
        keypoints = replace(dataset.keypoints, sigmas=tuple(value))
        return replace(dataset, keypoints=keypoints), options
    if field == "area_rule":
        return replace(dataset, area_rule=value), options
    if field == "evaluator":
        return _under(dataset, value), options
    return dataset, replace(options, **{field: value})


def _under(dataset: PoseDataset, evaluator: str) -> PoseDataset:
    kinds = {name: kind for kind, name in EVALUATORS.items()}
    kind = kinds.get(evaluator)
    has_index = all("crowdIndex" in row for row in dataset.raw["images"])
    if kind in (None, "distance") or (kind == "crowdpose" and not has_index):
        raise DataError(f"these data cannot be scored by {evaluator}")
    return replace(dataset, kind=kind)


def _scored(
    field: str,
    value: Any,
    dataset: PoseDataset,
    predictions: Predictions,
    options: ScoringOptions,
    how: str,
) -> Measured:
    scored = evaluate(dataset, predictions, options)
    ap = scored.metrics.values[AP]
    return Measured(field, value, scored.table, ap, predictions, how)
