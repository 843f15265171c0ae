"""What `posebench score` does: results files to numbers with intervals and paired differences.

The first file is the baseline of every difference. All files meet the same image resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from posebench.__version__ import __version__
from posebench.datasets.coco import AreaRule, Kind, PoseDataset, load_annotations
from posebench.datasets.keypoints import load_keypoint_set
from posebench.errors import UsageError
from posebench.files.environment import environment
from posebench.files.hashing import sha256_of
from posebench.files.records import mapping_from_record
from posebench.files.writing import naming_what_cannot_be_written, write_json
from posebench.scoring.matching.accumulate import summarise
from posebench.scoring.matching.matching import KIND_RULES, MatchTable, match
from posebench.scoring.matching.metrics import METRICS, CrowdSplit, crowdpose_metrics
from posebench.scoring.matching.truth import GroundTruth, ground_truth
from posebench.scoring.official import score_official
from posebench.scoring.results_file import ResultsFile, read_detections
from posebench.scoring.results_json import read_coco_results
from posebench.scoring.statistics.estimates import Estimate, Resampling, Sampled, resample
from posebench.scoring.statistics.intervals import holm

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ScoreRequest:
    """What to score. `dataset` is coco, crowdpose, a keypoint set YAML, or None to guess."""

    predictions: tuple[Path, ...]
    annotations: Path
    dataset: str | None = None
    area_rule: AreaRule | None = None
    crowd_split: CrowdSplit = "code"
    official: bool = False
    resampling: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True)
class FileScore:
    """One results file: its numbers by metric, and the official evaluator's if asked for."""

    path: str
    sha256: str
    detections: int
    scored: int
    metrics: dict[str, Estimate]
    official: dict[str, float | None] | None = None
    official_evaluator: str | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileDifference:
    """Every metric of one file minus that of the first."""

    path: str
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class DataFacts:
    """The annotation file of a report, and by which rules it counts; `persons` are those scored."""

    annotations: str
    annotations_sha256: str
    keypoints: str
    kind: Kind
    area_rule: AreaRule
    images: int
    persons: int
    findings: tuple[str, ...]
    evaluator: str


@dataclass(frozen=True)
class ScoreReport:
    """Scores of results files on one annotation file, with what moves them."""

    data: DataFacts
    resampling: Resampling
    scores: tuple[FileScore, ...]
    differences: tuple[FileDifference, ...] = ()


def score_files(request: ScoreRequest) -> ScoreReport:
    """Score results files; raise `PosebenchError` for files that cannot be scored."""
    if request.resampling.replicates < 1:
        raise UsageError("Intervals need at least 1 replicate.")
    dataset = load_annotated(request.annotations, request.dataset, request.area_rule)
    truth = ground_truth(dataset)
    metrics = METRICS[dataset.kind]
    if dataset.kind == "crowdpose":
        metrics = crowdpose_metrics(request.crowd_split)
    files = [read_detections(path, len(dataset.keypoints)) for path in request.predictions]
    tables = [match(truth, file.detections, KIND_RULES[dataset.kind]) for file in files]
    values = [summarise(table, metrics) for table in tables]
    sampled = resample(tables, metrics, request.resampling)
    return ScoreReport(
        data=data_facts(dataset, truth),
        resampling=request.resampling,
        scores=tuple(
            _file_score(request, dataset, file, table, sampled.estimates(index, values[index]))
            for index, (file, table) in enumerate(zip(files, tables, strict=True))
        ),
        differences=_differences(files, values, sampled),
    )


def data_facts(dataset: PoseDataset, truth: GroundTruth) -> DataFacts:
    """Return what a report says of the annotations it rests on."""
    return DataFacts(
        annotations=str(dataset.annotations),
        annotations_sha256=dataset.annotations_sha256,
        keypoints=dataset.keypoints.name,
        kind=dataset.kind,
        area_rule=dataset.area_rule,
        images=len(truth.image_ids),
        persons=int(np.count_nonzero(~truth.ignored)),
        findings=tuple(f"{item.level}: {item}" for item in dataset.findings),
        evaluator=f"posebench {__version__}",
    )


def write_report(path: Path, report: object) -> None:
    """Write a report record with its environment as JSON; raise `DataError` if that fails."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "environment": environment(),
        "report": mapping_from_record(report),
    }
    with naming_what_cannot_be_written(path):
        write_json(path, document)


def load_annotated(
    annotations: Path, dataset: str | None, area_rule: AreaRule | None
) -> PoseDataset:
    """Read the annotations that results files are held against; images need not be there.

    `dataset` is coco, crowdpose, a keypoint set YAML, or None to guess.
    """
    kind: Kind | None = None
    if dataset is not None:
        kind = "crowdpose" if dataset == "crowdpose" else "coco"
    return load_annotations(
        annotations,
        annotations.parent,
        keypoints=load_keypoint_set(dataset) if dataset else None,
        kind=kind,
        area_rule=area_rule,
    )


def _file_score(
    request: ScoreRequest,
    dataset: PoseDataset,
    file: ResultsFile,
    table: MatchTable,
    estimates: dict[str, Estimate],
) -> FileScore:
    official = None
    if request.official:
        rows = read_coco_results(file.path, len(dataset.keypoints))
        official = score_official(dataset, rows)
    return FileScore(
        path=str(file.path),
        sha256=sha256_of(file.path),
        detections=len(file.detections),
        scored=len(table.scores),
        metrics=estimates,
        official=dict(official.values) if official else None,
        official_evaluator=official.evaluator if official else None,
        findings=tuple(f"{item.level}: {item}" for item in file.findings),
    )


def _differences(
    files: Sequence[ResultsFile], values: Sequence[dict[str, float | None]], sampled: Sampled
) -> tuple[FileDifference, ...]:
    found = []
    for index in range(1, len(files)):
        gap = {name: _minus(values[index][name], values[0][name]) for name in values[0]}
        found.append(sampled.estimates(index, gap, base=0))
    family = [estimate.p for estimates in found for estimate in estimates.values()]
    adjusted = iter(holm(family))
    return tuple(
        FileDifference(
            str(file.path),
            {
                name: Estimate(item.value, item.low, item.high, item.p, next(adjusted))
                for name, item in estimates.items()
            },
        )
        for file, estimates in zip(files[1:], found, strict=True)
    )


def _minus(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base
