"""Read a COCO results file into columns, and say plainly what is odd in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.categories import Category
from posebench.datasets.checks.findings import Finding, finding
from posebench.datasets.checks.readings import box_reading_by_poses, sample
from posebench.datasets.checks.row_faults import name_hint
from posebench.datasets.coco import ImageRecord, PoseDataset
from posebench.errors import DataError
from posebench.scoring.formats.formats import FORMATS, FormatChoice
from posebench.scoring.formats.reading import ADAPTED, Expected, read_blocks
from posebench.scoring.matching.detections import (
    Detections,
    ResultColumns,
    join_columns,
)
from posebench.scoring.matching.truth import GroundTruth
from posebench.scoring.results_json import box_count_faults, raise_faults
from posebench.scoring.results_readings import reading_findings

# Ties are reported if they make up this share of the results; a few move nothing.
_MANY_TIES = 0.01


@dataclass(frozen=True, eq=False)
class ResultsFile:
    """A file's results of all scored categories, and findings that do not prevent scoring.

    `format` says in words what it was taken for.
    """

    path: Path
    columns: ResultColumns
    findings: tuple[Finding, ...]
    format: str = FORMATS["coco"].says

    @property
    def adapted(self) -> bool:
        """Whether it is anything but a file of COCO results."""
        return self.path.is_dir() or any(each.kind in ADAPTED for each in self.findings)

    @property
    def detections(self) -> Detections:
        """All that is scored."""
        return self.columns.detections


def read_detections(path: Path, expected: Expected | int) -> ResultsFile:
    """Read a results file of poses with K keypoints, by default exactly COCO's.

    Rows of other categories are left out, as evaluators do, and duplicates are kept; both give a
    finding. Raises `DataError` if rows cannot be scored, naming the first, or if no result is of a
    scored category.
    """
    if isinstance(expected, int):
        expected = Expected(expected)
    blocks = read_blocks(path, expected)
    hint = blocks.faults and name_hint(
        blocks.bad_ids, {image.path.name: image.id for image in expected.images}
    )
    faults = _merged(blocks.faults)
    if faults and hint:
        faults = [replace(faults[0], hint=hint), *faults[1:]]
    raise_faults(path, faults)
    raise_faults(path, box_count_faults(blocks.boxed, blocks.rows))
    raise_faults(path, blocks.mixed)
    columns = join_columns(blocks.parts, expected.keypoint_count)
    raise_faults(path, _negative_boxes(columns))
    columns, said = _of_categories(path, columns, expected.categories)
    ids = columns.category_ids
    absent = [each for each in expected.categories if not (ids == each.id).any()]
    if blocks.rows and absent:
        said += finding("results-none-of-category", "Annotated categories without results", absent)
    odd = _oddities(columns, blocks.rows, expected.images)
    taken_for = FORMATS[blocks.format or "coco"].says
    return ResultsFile(path, columns, (*blocks.changes, *said, *odd), taken_for)


def read_results(
    path: Path,
    datasets: Sequence[PoseDataset],
    truths: Sequence[GroundTruth],
    form: FormatChoice = "auto",
) -> ResultsFile:
    """Read a results file of these categories, and note what does not suit the annotations."""
    counts = {len(dataset.keypoints) for dataset in datasets}
    if len(counts) > 1:
        raise DataError(
            f"{datasets[0].annotations} has categories of {', '.join(map(str, sorted(counts)))} "
            "keypoints.",
            hint="Name one category with --category.",
        )
    (count,) = counts
    categories = [dataset.category for dataset in datasets]
    first = datasets[0]
    whole_body = first.kind == "wholebody"
    file = read_detections(path, Expected(count, categories, first.images, form, whole_body))
    found = list(file.findings)
    if first.kind == "distance":  # which asks for no score
        found = [each for each in found if not each.kind.startswith("results-scores-")]
        found += _persons_without(datasets, truths, file)
    for dataset, truth in zip(datasets, truths, strict=True):
        found += reading_findings(dataset, truth, file.columns.of(dataset.category.id))
    return replace(file, findings=tuple(found))


def _persons_without(
    datasets: Sequence[PoseDataset], truths: Sequence[GroundTruth], file: ResultsFile
) -> list[Finding]:
    """Return a finding on images that have fewer results than persons."""
    missing = list[str]()
    for dataset, truth in zip(datasets, truths, strict=True):
        own = Counter(file.columns.of(dataset.category.id).image_ids.tolist())
        persons = Counter(truth.image_ids[truth.image[~truth.ignored]].tolist())
        missing += [
            f"image {key} ({own[key]} of {count})"
            for key, count in persons.items()
            if own[key] < count
        ]
    what = "Images in which there is no result for some of the persons: each of their keypoints is "
    return finding(
        "results-persons-missing",
        f"{what}a miss, and EPE and NME, which are means over all, have no value",
        missing,
        "Write a result for each annotated person, of its own box.",
    )


def _merged(faults: Sequence[Finding]) -> list[Finding]:
    """Return faults of several blocks with each kind of fault once."""
    found: dict[str, Finding] = {}
    for fault in faults:
        known = found.get(fault.what)
        found[fault.what] = (
            fault
            if known is None
            else replace(
                known,
                count=known.count + fault.count,
                offenders=(*known.offenders, *fault.offenders)[:5],
            )
        )
    return list(found.values())


def _negative_boxes(columns: ResultColumns) -> list[Finding]:
    if columns.bbox_xywh is None:
        return []
    if columns.bbox_xywh[:, 2:].min(initial=0) >= 0:
        return []
    negative = np.flatnonzero((columns.bbox_xywh[:, 2:] < 0).any(axis=1))
    return finding(
        "results-box-negative",
        "Results with a `bbox` of negative width or height (evaluators would leave them out where "
        "they are wrong, and so raise AP)",
        (f"entry {index}" for index in negative),
        "Is it x2, y1, -w, h? Write x, y, w, h, or leave `bbox` out of every result.",
    )


def _of_categories(
    path: Path, columns: ResultColumns, categories: Sequence[Category]
) -> tuple[ResultColumns, list[Finding]]:
    """Return the results of these categories, and findings on those left out.

    Raises `DataError` if nothing remains.
    """
    known = [category.id for category in categories]
    kept = np.zeros(len(columns), dtype=bool)
    for key in known:
        kept |= columns.category_ids == key
    if kept.all():
        return columns, []
    others = Counter(columns.category_ids[~kept].tolist())
    named = ", ".join(str(category) for category in categories[:8])
    if not kept.any():
        raise DataError(
            f"None of the {len(columns)} results in {path} is of a category that is scored: they "
            f"have category_id {', '.join(map(str, list(others)[:8]))}, the annotations {named}.",
            hint="Write the annotations' category_id in each result.",
        )
    boxes = columns.bbox_xywh
    rest = ResultColumns(
        columns.detections.subset(kept),
        columns.category_ids[kept],
        None if boxes is None else boxes[kept],
    )
    what = f"{others.total()} results of categories other than {named} are not scored"
    names = (f"category {key} ({count} times)" for key, count in others.items())
    left = [
        replace(each, count=others.total()) for each in finding("results-categories", what, names)
    ]
    return rest, left


def _oddities(columns: ResultColumns, rows: int, images: Sequence[ImageRecord]) -> list[Finding]:
    detections, found = columns.detections, []
    if rows == 0:
        found.append(Finding("results-empty", "The list of results is empty"))
    twice = detections.image_ids[_repeated(detections)]
    found += finding(
        "results-twice",
        "Results that repeat another one exactly (each counts, as in the evaluators)",
        (f"in image {image}" for image in twice),
    )
    return found + _score_oddities(detections) + _box_oddities(columns, images)


def _score_oddities(detections: Detections) -> list[Finding]:
    scores, count = detections.scores, len(detections)
    if count < 2:
        return []
    if (scores == scores[0]).all():
        what = f"All {count} results have the score {scores[0]:g}: their order in the file ranks "
        return [Finding("results-scores-equal", f"{what}them, and AP follows it", count)]
    found = []
    odd = int(np.count_nonzero((scores < 0) | (scores > 1)))
    if odd:
        what = f"{odd} of {count} results have scores below 0 or above 1 (only their order counts)"
        found.append(Finding("results-scores-range", what, odd))
    tied = _ties(detections)
    if tied > _MANY_TIES * count:
        what = (
            f"{tied} results share their score with another one of their image: their order in "
            "the file ranks them"
        )
        found.append(Finding("results-scores-tied", what, tied))
    return found


def _ties(detections: Detections) -> int:
    """Count the results that share their score with another one of their image; 0 if few do."""
    scores, images = detections.scores, detections.image_ids
    # Sums of equal pairs are equal; there are seldom many of them, and one column sorts faster.
    sums = np.sort(images + 0.37 * scores)
    if np.count_nonzero(np.diff(sums) == 0) <= _MANY_TIES * len(scores):
        return 0
    order = np.lexsort((scores, images))
    return int(np.count_nonzero((np.diff(images[order]) == 0) & (np.diff(scores[order]) == 0)))


def _box_oddities(columns: ResultColumns, images: Sequence[ImageRecord]) -> list[Finding]:
    if columns.bbox_xywh is None:
        return []
    rows = sample(len(columns))
    points = columns.detections.keypoints[rows]
    poses = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)
    known = {image.id: (image.width, image.height) for image in images}
    owners = columns.detections.image_ids[rows].tolist()
    sizes = np.array([known.get(key, (np.nan, np.nan)) for key in owners], dtype=np.float64)
    reading = box_reading_by_poses(columns.bbox_xywh[rows], poses, sizes.reshape(-1, 2))
    return [] if reading is None else [Finding("results-box-reading", reading, len(columns))]


def _repeated(detections: Detections) -> NDArray[np.int64]:
    """Return rows that equal another row before them in image, score and keypoints."""
    if len(detections) == 0:
        return np.zeros(0, dtype=np.int64)
    # Equal results have equal sums and so stand side by side; others hardly ever do.
    x, y = detections.keypoints[:, 0].T
    with np.errstate(over="ignore", invalid="ignore"):
        sums = 0.73 * x + 0.37 * y + detections.scores + detections.image_ids
    order = np.argsort(sums, kind="stable")
    before, after = order[:-1], order[1:]
    twins = (detections.image_ids[before] == detections.image_ids[after]) & (
        detections.scores[before] == detections.scores[after]
    )
    before, after = before[twins], after[twins]
    same = (detections.keypoints[before] == detections.keypoints[after]).all(axis=(1, 2))
    return np.sort(np.maximum(before[same], after[same]))
