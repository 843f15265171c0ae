"""A suite planned as far as it can be without its images and boxes being there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from posebench.datasets.boxes import BoxFilter
from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.keypoints import KEYPOINT_SETS, load_keypoint_set
from posebench.datasets.layout import LAYOUTS, locate
from posebench.datasets.requests import (
    GROUND_TRUTH,
    SYNTHETIC_LEVELS,
    DataRequest,
    load_pose_dataset,
)
from posebench.errors import DataError, UsageError
from posebench.prediction.execution import Progress
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Storage
from posebench.running.plan import Place, SuitePlan, plan_cells
from posebench.running.sources import suite_checkpoints
from posebench.running.workload import Workload, data_requests, protocol_of, scoring_options
from posebench.scoring.evaluate import ScoreChecks, ScoringOptions
from posebench.suites.suite import Suite

_CROWDPOSE = "crowdpose"


def plan_without_data(suite: Suite, folder: Path, progress: Progress) -> SuitePlan:
    """Plan every cell of a suite, on its annotations alone, or on none where they are not there.

    Raises `PosebenchError` for patterns that fit no file, and for keypoint sets that are none.
    """
    scoring = scoring_options(suite)
    workloads = [_workload(each, scoring) for each in data_requests(suite, folder, None)]
    checkpoints = suite_checkpoints(suite, folder)
    place = Place(folder, Storage())
    return plan_cells(suite, checkpoints, workloads, place, LoadedCheckpoints(), progress)


def _workload(request: DataRequest, scoring: ScoringOptions) -> Workload:
    """Return data without images and instances, whose protocol is complete but for their hashes."""
    dataset = replace(_dataset(request), images=())
    whole, fractions = np.zeros(0, np.int64), np.zeros(0, np.float32)
    instances = Instances(whole, whole, np.zeros((0, 4), np.float32), fractions)
    protocol = protocol_of(dataset, instances, None, BoxFilter(), scoring)
    if request.boxes != GROUND_TRUTH:
        protocol = replace(protocol, boxes=Path(request.boxes).stem)
    return Workload(dataset, instances, protocol, scoring, ScoreChecks())


def _is_here(request: DataRequest) -> bool:
    """Tell whether annotations can be read; a word that is no data set counts, to be refused."""
    name = request.dataset
    if name not in LAYOUTS and not Path(name).exists():
        return Path(name).name == name and not name.endswith(".json")
    try:
        locate(name, request.data_root, request.split, request.images)
    except (DataError, UsageError):
        return False
    return True


def _dataset(request: DataRequest) -> PoseDataset:
    """Return the annotated data set, or what is known of it by its name."""
    if request.dataset not in SYNTHETIC_LEVELS and _is_here(request):
        return load_pose_dataset(request, lambda _done, _total: None)
    kind = "crowdpose" if request.dataset == _CROWDPOSE else "coco"
    keypoints = load_keypoint_set(request.keypoints) if request.keypoints else KEYPOINT_SETS[kind]
    return PoseDataset(
        name=Path(request.dataset).resolve().stem,
        kind="crowdpose" if kind == _CROWDPOSE else "coco",
        annotations=Path(request.dataset),
        annotations_sha256=f"that of {request.dataset}",
        images=(),
        keypoints=keypoints,
        area_rule=request.area_rule or ("box" if kind == _CROWDPOSE else "annotation"),
        raw={"images": [], "annotations": [], "categories": []},
        reading=request.reading,
    )
