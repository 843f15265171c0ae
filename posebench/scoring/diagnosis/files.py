"""What `posebench diagnose` does: results files to errors, their costs, strata and confidence.

The first file is the baseline of every difference. All files are scored on the same image
resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posebench.datasets.categories import only_category
from posebench.datasets.choices import AreaRule
from posebench.datasets.coco import PoseDataset
from posebench.errors import UsageError
from posebench.files.hashing import sha256_of
from posebench.scoring.diagnosis.confidence import Calibration
from posebench.scoring.diagnosis.corrections import ERROR_TYPES
from posebench.scoring.diagnosis.curves import PrecisionCurve, precision_curves
from posebench.scoring.diagnosis.diagnosis import (
    Diagnosis,
    ErrorCost,
    average_precision,
    diagnose,
    error_costs,
    remaining_loss,
    state_counts,
)
from posebench.scoring.diagnosis.diagnosis_intervals import (
    ErrorDifferences,
    ErrorEstimates,
    error_differences,
    error_estimates,
    resample_errors,
)
from posebench.scoring.diagnosis.keypoint_errors import STATES
from posebench.scoring.diagnosis.strata import StratumMetrics, standard_strata, stratum_metrics
from posebench.scoring.files import (
    DataFacts,
    check_somebody_counts,
    data_facts,
    load_annotated,
)
from posebench.scoring.formats.folders import files_of
from posebench.scoring.formats.formats import FormatChoice
from posebench.scoring.keypoint_metrics import (
    ALL_KEYPOINTS,
    KeypointMetrics,
    keypoint_distances,
    keypoint_metrics,
)
from posebench.scoring.matching.matching import KIND_RULES
from posebench.scoring.matching.truth import GroundTruth, ground_truth
from posebench.scoring.results_file import ResultsFile, read_results
from posebench.scoring.statistics.estimates import check_replicates

# COCO's visibility flags of labelled keypoints.
VISIBILITIES: Mapping[str, int] = {"visible": 2, "occluded": 1}


@dataclass(frozen=True)
class DiagnosisRequest:
    """What to diagnose. `dataset` is coco, crowdpose, a keypoint set YAML, or None to guess.

    `replicates` resamples of the images, drawn from `seed`, give the intervals. `category` is an id
    or a name, needed if several have keypoints. `format` says who wrote the results.
    """

    predictions: tuple[Path, ...]
    annotations: Path
    dataset: str | None = None
    area_rule: AreaRule | None = None
    replicates: int = 1000
    seed: int = 0
    category: str | None = None
    format: FormatChoice = "auto"

    def __post_init__(self) -> None:
        check_replicates(self.replicates)


@dataclass(frozen=True)
class ModelDiagnosis:
    """Everything about one results file; fractions 0-1.

    `costs` are in the order of correction; `remaining` is how far AP stays below 1 after all of
    them, because corrections do not put keypoints on their labels. `oracle_ap` is AP with OKS as
    score, duplicates last. `keypoint_states` counts the states of each keypoint of matched
    detections, and of all. `visibility` has PCK and end-point error of visible and occluded
    keypoints.
    """

    path: str
    sha256: str
    detections: int
    ap: float | None
    oracle_ap: float | None
    costs: tuple[ErrorCost, ...]
    remaining: float | None
    estimates: ErrorEstimates
    keypoint_states: dict[str, dict[str, int]]
    keypoints: tuple[KeypointMetrics, ...]
    visibility: dict[str, KeypointMetrics]
    strata: tuple[StratumMetrics, ...]
    calibration: Calibration
    curves: tuple[PrecisionCurve, ...]
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiagnosisReport:
    """Diagnoses of results files on one annotation file, with what moves them."""

    data: DataFacts
    replicates: int
    seed: int
    models: tuple[ModelDiagnosis, ...]
    differences: tuple[ErrorDifferences, ...]


def diagnose_files(request: DiagnosisRequest) -> DiagnosisReport:
    """Diagnose results files.

    Raises `PosebenchError` if a file cannot be scored.
    """
    if request.replicates < 1:
        raise UsageError("Intervals need at least 1 replicate.")
    datasets = load_annotated(
        request.annotations, request.dataset, request.area_rule, request.category
    )
    only_category([dataset.category for dataset in datasets], request.annotations)
    dataset = datasets[0]
    truth = ground_truth(dataset)
    check_somebody_counts(datasets, [truth])
    files = [read_results(path, datasets, [truth], request.format) for path in request.predictions]
    flip = dataset.keypoints.flip_indices
    found = [diagnose(truth, file.detections, flip, KIND_RULES[dataset.kind]) for file in files]
    sampled = resample_errors(found, request.replicates, np.random.default_rng(request.seed))
    return DiagnosisReport(
        data=data_facts(datasets, [truth]),
        replicates=request.replicates,
        seed=request.seed,
        models=tuple(
            _model(truth, file, diagnosis, error_estimates(sampled, index), dataset)
            for index, (file, diagnosis) in enumerate(zip(files, found, strict=True))
        ),
        differences=tuple(error_differences(sampled, 0, index) for index in range(1, len(files))),
    )


def _model(
    truth: GroundTruth,
    file: ResultsFile,
    diagnosis: Diagnosis,
    estimates: ErrorEstimates,
    dataset: PoseDataset,
) -> ModelDiagnosis:
    names, tables = dataset.keypoints.keypoints, diagnosis.tables
    distances = keypoint_distances(truth, file.detections)
    flags = truth.visibility[distances.person]
    return ModelDiagnosis(
        path=str(file.path),
        sha256=sha256_of(*files_of(file.path)),
        detections=len(file.detections),
        ap=average_precision(tables.predicted),
        oracle_ap=average_precision(tables.alone[ERROR_TYPES.index("score")]),
        costs=error_costs(diagnosis),
        remaining=remaining_loss(diagnosis),
        estimates=estimates,
        keypoint_states=_keypoint_states(diagnosis, names),
        keypoints=keypoint_metrics(distances, names),
        visibility={
            name: keypoint_metrics(distances, names, flags == flag)[0]
            for name, flag in VISIBILITIES.items()
        },
        strata=stratum_metrics(
            truth, file.detections, standard_strata(truth), tables.predicted.rules
        ),
        calibration=diagnosis.calibration,
        curves=precision_curves(tables.predicted),
        findings=tuple(item.line for item in file.findings),
    )


def _keypoint_states(diagnosis: Diagnosis, names: Sequence[str]) -> dict[str, dict[str, int]]:
    counts = state_counts(diagnosis.errors)
    rows = {ALL_KEYPOINTS: counts.sum(axis=0), **dict(zip(names, counts, strict=True))}
    return {name: dict(zip(STATES, row.tolist(), strict=True)) for name, row in rows.items()}
