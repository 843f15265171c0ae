"""What `posebench score` does: results files to numbers with intervals and paired differences.

The first file is the baseline of every difference. All files are scored on the same image
resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from posebench.__version__ import __version__
from posebench.datasets.choices import AreaRule, Kind
from posebench.datasets.coco import PoseDataset, load_categories
from posebench.datasets.keypoints import load_keypoint_set
from posebench.datasets.requests import record_of
from posebench.datasets.rules import LoadOptions
from posebench.errors import DataError
from posebench.files.environment import environment
from posebench.files.hashing import sha256_of
from posebench.files.records import mapping_from_record
from posebench.files.writing import naming_what_cannot_be_written, write_json
from posebench.scoring.distances.measuring import Found, distance_tables
from posebench.scoring.formats.folders import files_of
from posebench.scoring.formats.formats import FORMATS, FormatChoice
from posebench.scoring.matching.metrics import (
    CrowdSplit,
    MatchMetric,
    crowdpose_metrics,
    mean_of_categories,
)
from posebench.scoring.matching.truth import GroundTruth, ground_truth
from posebench.scoring.metrics import matched_table, scored_by, table_values
from posebench.scoring.official import score_official_categories
from posebench.scoring.results_file import ResultsFile, read_results
from posebench.scoring.results_json import read_coco_results, rows_of
from posebench.scoring.statistics.estimates import (
    Estimate,
    Resampling,
    Sampled,
    mean_of_tables,
    resample,
)
from posebench.scoring.statistics.image_table import DistanceMetric, ImageTable
from posebench.scoring.statistics.intervals import holm

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ScoreRequest:
    """What to score. `dataset` is a known data set, a keypoint set or its YAML, or None to guess.

    `format` says who wrote the results; `auto` sees it. `category` is an id or a name, None for all
    that have keypoints. Without replicates there are no intervals.
    """

    predictions: tuple[Path, ...]
    annotations: Path
    dataset: str | None = None
    area_rule: AreaRule | None = None
    crowd_split: CrowdSplit = "code"
    official: bool = False
    resampling: Resampling = field(default_factory=Resampling)
    category: str | None = None
    format: FormatChoice = "auto"


@dataclass(frozen=True)
class FileScore:
    """One results file: its numbers by metric, and the official evaluator's if asked for.

    `format` says what it was taken for.
    With several categories, `metrics` are the mean over those that have a person, as evaluators
    take it, and `categories` has the numbers of each by name.
    """

    path: str
    sha256: str
    detections: int
    scored: int
    metrics: dict[str, Estimate]
    official: dict[str, float | None] | None = None
    official_evaluator: str | None = None
    findings: tuple[str, ...] = ()
    categories: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    format: str = FORMATS["coco"].says


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
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreReport:
    """Scores of results files on one annotation file, with what moves them."""

    data: DataFacts
    resampling: Resampling
    scores: tuple[FileScore, ...]
    differences: tuple[FileDifference, ...] = ()


def score_files(request: ScoreRequest) -> ScoreReport:
    """Score results files.

    Raises `PosebenchError` if a file cannot be scored.
    """
    datasets = load_annotated(
        request.annotations, request.dataset, request.area_rule, request.category
    )
    truths = [ground_truth(dataset) for dataset in datasets]
    check_somebody_counts(datasets, truths)
    kind = datasets[0].kind
    metrics: tuple[MatchMetric | DistanceMetric, ...] = scored_by(kind, datasets[0].distances)
    if kind == "crowdpose":
        metrics = crowdpose_metrics(request.crowd_split)
    files = [read_results(path, datasets, truths, request.format) for path in request.predictions]
    tables = [
        [_table(*each, file) for each in zip(datasets, truths, strict=True)] for file in files
    ]
    values = [[table_values(table, metrics) for table in row] for row in tables]
    means = [mean_of_categories(row) for row in values]
    flat = [table for row in tables for table in row]
    each = resample(flat, metrics, request.resampling)
    mean = mean_of_tables(each, len(datasets))
    names = [str(dataset.category) for dataset in datasets]
    scores = []
    for index, file in enumerate(files):
        first = index * len(datasets)
        by_category = {
            name: each.estimates(first + at, values[index][at]) for at, name in enumerate(names)
        }
        scores.append(
            replace(
                _file_score(request, datasets, file, tables[index]),
                metrics=mean.estimates(index, means[index]),
                categories=by_category if len(datasets) > 1 else {},
            )
        )
    return ScoreReport(
        data=data_facts(datasets, truths),
        resampling=request.resampling,
        scores=tuple(scores),
        differences=_differences(files, means, mean),
    )


def _table(dataset: PoseDataset, truth: GroundTruth, file: ResultsFile) -> ImageTable:
    """Return what a file's numbers on a category are made of, image by image."""
    own = file.columns.of(dataset.category.id)
    boxes = file.columns.boxes_of(dataset.category.id)
    table = matched_table(truth, own, dataset.kind)
    return replace(table, distances=distance_tables(dataset, truth, Found(own, bbox_xywh=boxes)))


def check_somebody_counts(datasets: Sequence[PoseDataset], truths: Sequence[GroundTruth]) -> None:
    """Check that results could find at least one annotated person.

    Raises `DataError` if no person counts.
    """
    if all(truth.ignored.all() for truth in truths):
        raise DataError(
            f"{datasets[0].annotations} has no person with labelled keypoints to score against.",
            hint="Crowds (iscrowd 1) and persons of `num_keypoints` 0 do not count.",
        )


def data_facts(datasets: Sequence[PoseDataset], truths: Sequence[GroundTruth]) -> DataFacts:
    """Return what a report says of the annotations it rests on."""
    dataset = datasets[0]
    return DataFacts(
        annotations=str(dataset.annotations),
        annotations_sha256=dataset.annotations_sha256,
        keypoints=dataset.keypoints.name,
        kind=dataset.kind,
        area_rule=dataset.area_rule,
        images=len(dataset.images),
        persons=sum(int(np.count_nonzero(~truth.ignored)) for truth in truths),
        findings=tuple(item.line for item in dataset.findings),
        evaluator=f"posebench {__version__}",
        categories=tuple(str(each.category) for each in datasets),
    )


def write_report(path: Path, report: object) -> None:
    """Write a report record with its environment as JSON.

    Raises `DataError` if that fails.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "environment": environment(),
        "report": mapping_from_record(report),
    }
    with naming_what_cannot_be_written(path):
        write_json(path, document)


def load_annotated(
    annotations: Path, dataset: str | None, area_rule: AreaRule | None, category: str | None = None
) -> tuple[PoseDataset, ...]:
    """Read the annotations that results files are scored against; images need not be there.

    `dataset` is a known data set's name, a keypoint set, or None to guess. Returns one data set for
    each category.
    """
    kind: Kind | None = None
    known = None if dataset is None else record_of(dataset, None)
    if dataset is not None and known is None:
        kind = "crowdpose" if dataset == "crowdpose" else "coco"
    options = LoadOptions(
        name=None if known is None else known.name,
        keypoints=load_keypoint_set(dataset) if dataset and known is None else None,
        kind=kind,
        area_rule=area_rule,
        category=category,
        known=known,
    )
    return load_categories(annotations, annotations.parent, options)


def _file_score(
    request: ScoreRequest,
    datasets: Sequence[PoseDataset],
    file: ResultsFile,
    tables: Sequence[ImageTable],
) -> FileScore:
    """Return a file's score without its metrics."""
    official = None
    if request.official:
        # The file itself where it can be, so that the check covers how it was read.
        count, whole_body = len(datasets[0].keypoints), datasets[0].kind == "wholebody"
        rows = (
            rows_of(file.columns)
            if file.adapted
            else read_coco_results(file.path, count, whole_body=whole_body)
        )
        official = score_official_categories(datasets, rows)
    return FileScore(
        path=str(file.path),
        sha256=sha256_of(*files_of(file.path)),
        detections=len(file.detections),
        scored=sum(len(table.matches.scores) for table in tables),
        metrics={},
        official=dict(official.values) if official else None,
        official_evaluator=official.evaluator if official else None,
        findings=tuple(item.line for item in file.findings),
        format=file.format,
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
