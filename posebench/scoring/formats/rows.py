"""Rows of other tools as COCO results: ids by file name, flat keypoints, scores that are missing.

A row that is sound comes back as it is. What cannot be turned into a COCO result is left for the
checks of `results_file`, which name its fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from posebench.datasets.categories import Category
from posebench.datasets.checks.findings import are_numbers, is_integer, is_number
from posebench.datasets.coco import ImageRecord
from posebench.scoring.matching.detections import ResultColumns

Row = dict[str, Any]
BY_NAME = "image ids found by file name"
BY_NUMBER = "image ids found by the number in the file name"
CATEGORY = "category ids that count from 0, or are missing, taken for the only category"
FLATTENED = "lists of keypoints in a list"
WITHOUT_THIRD = "keypoints without scores, taken to score 1"
MEAN_SCORE = "missing scores, taken to be the mean of the keypoints' scores"


@dataclass(frozen=True)
class ImageNames:
    """What images are called: ids by file name and by its stem; `ids` are all of them.

    Names that several images share are left out. `numbers` are ids by stems that are numbers.
    """

    files: Mapping[str, int]
    stems: Mapping[str, int]
    numbers: Mapping[int, int]
    ids: frozenset[int]

    @classmethod
    def of(cls, images: Sequence[ImageRecord]) -> ImageNames:
        """Return the names of images."""
        files = _once((image.path.name, image.id) for image in images)
        stems = _once((image.path.stem, image.id) for image in images)
        numbered = [(int(stem), key) for stem, key in stems.items() if _is_number(stem)]
        return cls(files, stems, _once(numbered), frozenset(image.id for image in images))

    def find(self, text: str) -> int | None:
        """Return the id of the image that a path, a name, its stem or an id in quotes means."""
        name = text.replace("\\", "/").rpartition("/")[2]
        stem = name.rpartition(".")[0] or name
        found = self.files.get(name, self.stems.get(name, self.stems.get(stem)))
        if found is None and _is_number(text) and int(text) in self.ids:
            return int(text)
        return found


@dataclass
class RowAdapter:
    """Turns rows into COCO results of K keypoints, and counts in `changes` what it changed.

    Scores are made up only in files whose first result has none: where a few lack them, the file
    is at fault.
    """

    keypoint_count: int
    categories: Sequence[Category]
    names: ImageNames
    changes: Counter[str] = field(default_factory=Counter)
    _made_up: frozenset[str] | None = None

    def adapted(self, row: Row) -> Row:
        """Return a row as a COCO result, as far as it is one."""
        if self._made_up is None:
            self._made_up = frozenset(_lacking(row, self.keypoint_count))
        made = dict(row)
        self._set_image(made)
        self._set_category(made)
        self._set_keypoints(made)
        self._set_score(made)
        box = made.get("bbox")
        if isinstance(box, list) and len(box) == 1 and isinstance(box[0], list):
            made["bbox"] = box[0]
        elif "bbox" in made and box is None:
            del made["bbox"]
        return made

    def knows_better(self, columns: ResultColumns) -> bool:
        """Tell whether sound results are of no category or no image, but would be if adapted."""
        no_category = not columns.category_ids.any()
        if no_category and len(self.categories) == 1 and self.categories[0].id != 0:
            return True
        ids = columns.detections.image_ids.tolist()
        if any(key in self.names.ids for key in ids):
            return False
        return any(key in self.names.numbers for key in ids)

    def _set_image(self, row: Row) -> None:
        value: Any = row.get("image_id")
        file_name = row.get("file_name")
        found = self.names.find(file_name) if isinstance(file_name, str) else None
        if found is None and isinstance(value, str):
            found = self.names.find(value)
        if found is not None and found != value:
            row["image_id"] = found
            self.changes[BY_NAME] += 1
        elif is_integer(value) and {value} & self.names.numbers.keys() - self.names.ids:
            row["image_id"] = self.names.numbers[value]
            self.changes[BY_NUMBER] += 1

    def _set_category(self, row: Row) -> None:
        if len(self.categories) != 1:
            return
        only = self.categories[0].id
        if row.get("category_id", 0) == 0 and only != 0:
            row["category_id"] = only
            self.changes[CATEGORY] += 1

    def _set_keypoints(self, row: Row) -> None:
        given, count = row.get("keypoints"), self.keypoint_count
        points = _flat(given)
        if points is None:
            return
        self.changes[FLATTENED] += points is not given
        if len(points) == 2 * count:
            scores: Any = row.get("keypoint_scores")
            if not are_numbers(scores, count):
                if WITHOUT_THIRD not in (self._made_up or ()):
                    return
                scores = [1.0] * count
                self.changes[WITHOUT_THIRD] += 1
            pairs = zip(points[::2], points[1::2], scores, strict=True)
            points = [number for triplet in pairs for number in triplet]
        row["keypoints"] = points

    def _set_score(self, row: Row) -> None:
        if row.get("score") is not None:
            return
        points: Any = row.get("keypoints")
        if is_number(row.get("bbox_score")):
            row["score"] = row["bbox_score"]
        elif MEAN_SCORE in (self._made_up or ()) and are_numbers(points, 3 * self.keypoint_count):
            row["score"] = float(np.mean(points[2::3]))
            self.changes[MEAN_SCORE] += 1


def _lacking(row: Row, keypoint_count: int) -> Iterator[str]:
    """Yield which scores a row does without."""
    if row.get("score") is None:
        yield MEAN_SCORE
    if len(_flat(row.get("keypoints")) or ()) == 2 * keypoint_count:
        yield WITHOUT_THIRD


def _flat(points: Any) -> list[Any] | None:
    """Return the numbers of a list, or of lists in a list; None if it is no list."""
    if not isinstance(points, list):
        return None
    if all(isinstance(point, list) for point in points):
        return [number for point in points for number in point]
    return points


def _once(pairs: Any) -> dict[Any, int]:
    """Return a mapping of the keys that come once."""
    found = list(pairs)
    counts = Counter(key for key, _ in found)
    return {key: value for key, value in found if counts[key] == 1}


def _is_number(text: str) -> bool:
    """Tell whether a text is a whole number that fits an id."""
    return text.isascii() and text.isdigit() and len(text) < 19
