"""Read a COCO results file into columns, and say plainly what in it is odd."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.defects import PERSON
from posebench.datasets.findings import Finding, finding
from posebench.datasets.json_rows import read_rows
from posebench.errors import DataError
from posebench.scoring.matching.detections import (
    Detections,
    detections_from_results,
    join_detections,
)
from posebench.scoring.results_json import RESULT_FORMAT, is_result


@dataclass(frozen=True, eq=False)
class ResultsFile:
    """Detected persons of a results file, and findings that scoring survives."""

    path: Path
    detections: Detections
    findings: tuple[Finding, ...]


class _Blocks:
    """What has been read so far: columns of sound rows, names of the others."""

    def __init__(self, keypoint_count: int) -> None:
        self.keypoint_count = keypoint_count
        self.parts: list[Detections] = []
        self.bad: list[str] = []
        self.rows = self.boxed = 0

    def take(self, rows: list[dict[str, Any]]) -> None:
        """Turn a block of rows into columns."""
        boxed = sum("bbox" in row for row in rows)
        part = detections_from_results(rows, self.keypoint_count) if rows else None
        if part is not None:
            self.parts.append(part)
        elif rows and boxed in (0, len(rows)):
            self.bad += [
                f"entry {self.rows + index}"
                for index, row in enumerate(rows)
                if not is_result(row, self.keypoint_count)
            ] or [f"an entry after {self.rows} (a number too large)"]
        self.rows, self.boxed = self.rows + len(rows), self.boxed + boxed


def read_detections(path: Path, keypoint_count: int) -> ResultsFile:
    """Read a COCO results file of poses with K keypoints.

    Raises `DataError` naming the first rows that cannot be scored. Rows of other categories
    are left out, as evaluators do, and duplicates are kept, both with a finding.
    """
    blocks = _Blocks(keypoint_count)
    read_rows(path, "results file", blocks.take)
    what = f"Entries that are not results of {keypoint_count} keypoints"
    defects = finding("error", what, blocks.bad)
    if not defects and blocks.boxed not in (0, blocks.rows):
        what = f"Only {blocks.boxed} of {blocks.rows} results have a bbox"
        defects = finding("error", what, [path])
    if defects:
        raise DataError(f"The results file {path} cannot be used. {defects[0]}", hint=RESULT_FORMAT)
    detections = join_detections(blocks.parts, keypoint_count)
    return ResultsFile(path, detections, tuple(_oddities(detections, blocks.rows)))


def _oddities(detections: Detections, rows: int) -> list[Finding]:
    found = []
    if rows == 0:
        found.append(Finding("warning", "The list of results is empty"))
    if left_out := rows - len(detections):
        what = f"{left_out} results of categories other than {PERSON} are not scored"
        found.append(Finding("note", what, left_out))
    images = detections.image_ids[_repeated(detections)]
    return found + finding(
        "warning",
        "Results that repeat another one exactly (each counts, as evaluators do)",
        (f"in image {image}" for image in images),
    )


def _repeated(detections: Detections) -> NDArray[np.int64]:
    """Return rows that equal another row before them in image, score and keypoints."""
    if len(detections) == 0:
        return np.zeros(0, dtype=np.int64)
    # Equal results have equal sums and so stand side by side; others hardly ever do.
    x, y = detections.keypoints[:, 0].T
    sums = 0.73 * x + 0.37 * y + detections.scores + detections.image_ids
    order = np.argsort(sums, kind="stable")
    before, after = order[:-1], order[1:]
    twins = (detections.image_ids[before] == detections.image_ids[after]) & (
        detections.scores[before] == detections.scores[after]
    )
    before, after = before[twins], after[twins]
    same = (detections.keypoints[before] == detections.keypoints[after]).all(axis=(1, 2))
    return np.sort(np.maximum(before[same], after[same]))
