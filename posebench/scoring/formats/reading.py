"""Read results into columns block by block, turning those of other tools into COCO results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posebench.datasets.categories import Category
from posebench.datasets.checks.findings import Finding
from posebench.datasets.coco import ImageRecord
from posebench.datasets.json_rows import read_rows
from posebench.datasets.known.forms import joined
from posebench.errors import DataError
from posebench.scoring.formats.folders import rows_of_folder
from posebench.scoring.formats.formats import FORMATS, FormatChoice, FormatName, recognised
from posebench.scoring.formats.rows import MEAN_SCORE, WITHOUT_THIRD, ImageNames, RowAdapter
from posebench.scoring.matching.detections import ResultColumns, result_columns
from posebench.scoring.results_json import row_faults
from posebench.scoring.whole_body.parts import RESULT_LAYOUT

# What is found of results that are not written as COCO's.
ADAPTED = ("results-adapted", "results-scores-missing")


@dataclass(frozen=True)
class Expected:
    """What results must fit: K keypoints, the categories, the images; and who wrote them.

    Those of whole bodies may have a list for each part of the body.
    """

    keypoint_count: int
    categories: Sequence[Category] = (Category(),)
    images: Sequence[ImageRecord] = ()
    format: FormatChoice = "coco"
    whole_body: bool = False


class Blocks:
    """What has been read so far: columns of sound rows, faults of the others.

    `format` is what the rows were taken for.
    """

    def __init__(self, expected: Expected) -> None:
        names = ImageNames.of(expected.images)
        self.keypoint_count = expected.keypoint_count
        self.format: FormatName | None = None if expected.format == "auto" else expected.format
        self.parts: list[ResultColumns] = []
        self.faults: list[Finding] = []
        self.bad_ids: list[Any] = []
        self.rows = self.boxed = 0
        self._layout = RESULT_LAYOUT if expected.whole_body else None
        self._may_adapt = expected.format != "coco"
        self._adapter = RowAdapter(expected.keypoint_count, expected.categories, names)

    @property
    def changes(self) -> list[Finding]:
        """What was changed in the rows, and what had to be made up."""
        counts = self._adapter.changes
        made_up = [name for name in (WITHOUT_THIRD, MEAN_SCORE) if counts[name]]
        others = [name for name in counts if counts[name] and name not in made_up]
        found = [("results-scores-missing", made_up), ("results-adapted", others)]
        return [
            Finding(kind, "Results with " + ", ".join(f"{n} ({counts[n]})" for n in names))
            for kind, names in found
            if names
        ]

    @property
    def mixed(self) -> list[Finding]:
        """What is wrong if scores were made up for some rows and the others have their own."""
        counts = self._adapter.changes
        named = (("score", MEAN_SCORE), ("score of each keypoint", WITHOUT_THIRD))
        own = ((self.rows - counts[name], what) for what, name in named if counts[name])
        return [
            Finding("results-fields", f"Only {count} of {self.rows} results have a {what}")
            for count, what in own
            if count
        ]

    def take(self, rows: list[dict[str, Any]]) -> None:
        """Turn a block of rows into columns."""
        if not rows:
            return
        if self._layout is not None:
            rows = [joined(row) for row in rows]
        self.format = self.format or recognised(rows[0])
        given, part = rows, None
        if FORMATS[self.format].exact:
            part = result_columns(rows, self.keypoint_count, self._layout)
        if self._may_adapt and (part is None or self._adapter.knows_better(part)):
            before = self._adapter.changes.copy()
            rows = [self._adapter.adapted(row) for row in rows]
            part = result_columns(rows, self.keypoint_count, self._layout)
            if part is None and FORMATS[self.format].exact:
                # Its faults are those of the rows as they stand in the file.
                rows, self._adapter.changes = given, before
        boxed = sum("bbox" in row for row in rows)
        if part is not None:
            self.parts.append(part)
        elif boxed in (0, len(rows)):
            self.faults += row_faults(rows, self.keypoint_count, self.rows) or [
                Finding("results-fields", f"A number too large after entry {self.rows}")
            ]
            self.bad_ids += [row.get("image_id") for row in rows[:20]]
        self.rows, self.boxed = self.rows + len(rows), self.boxed + boxed


def read_blocks(path: Path, expected: Expected) -> Blocks:
    """Read a results file, or a folder with a file for each image.

    Raises `DataError` if it holds no list of results.
    """
    is_folder = path.is_dir()
    if is_folder and expected.format not in ("auto", "per-image"):
        raise DataError(
            f"{path} is a folder; results of {expected.format} are one file.",
            hint="--format per-image reads a folder with a file for each image.",
        )
    if expected.format == "per-image" and not is_folder:
        raise DataError(f"{path} is no folder with a file for each image.")
    blocks = Blocks(replace(expected, format="per-image") if is_folder else expected)
    if is_folder:
        blocks.take(rows_of_folder(path))
    else:
        read_rows(path, "results file", blocks.take)
    return blocks
