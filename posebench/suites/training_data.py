"""What a recipe trains on: rendered scenes, or a folder of labelled images. Never loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from posebench.datasets.keypoints import COCO, KeypointSet, load_keypoint_set
from posebench.datasets.requests import DataRequest, load_pose_dataset
from posebench.datasets.synthetic import LEVELS
from posebench.errors import SpecError, nearest

KEYPOINTS_FILE = "keypoints.yaml"


@dataclass(frozen=True)
class RenderedData:
    """Rendered scenes of people, labelled with COCO's 17 keypoints."""

    level: str = "standard"
    scenes: int = 8000

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise SpecError(
                f"data: there is no level {self.level!r}.", hint=nearest(self.level, LEVELS)
            )
        if self.scenes < 1:
            raise SpecError("data: scenes must be at least 1.")

    @property
    def keypoint_set(self) -> KeypointSet:
        """The keypoints that are labelled."""
        return COCO


@dataclass(frozen=True)
class FolderData:
    """A data set in COCO's layout; `split` names its part, `limit` keeps the first images only.

    `keypoints` is a built-in set or a YAML file that says what is labelled; by default it is a file
    `keypoints.yaml` in the folder, and without one the annotations say it.
    """

    folder: str
    split: str = "train"
    limit: int | None = None
    keypoints: str | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise SpecError("data: limit must be at least 1.")

    @property
    def keypoint_set(self) -> KeypointSet:
        """The keypoints that are labelled; where no file says it, this reads the annotations."""
        named = self.request().keypoints
        return _annotated_keypoints(self) if named is None else load_keypoint_set(named)

    def request(self, split: str | None = None, limit: int | None = None) -> DataRequest:
        """Return the request for the images to train on, or for another split of the folder."""
        own = Path(self.folder) / KEYPOINTS_FILE
        return DataRequest(
            dataset=self.folder,
            split=split or self.split,
            keypoints=self.keypoints or (str(own) if own.is_file() else None),
            limit=limit if split else self.limit,
        )


@cache
def _annotated_keypoints(data: FolderData) -> KeypointSet:
    # Every arm of a suite asks again, and reading COCO takes many seconds.
    return load_pose_dataset(data.request(), lambda _done, _total: None).keypoints


TrainingData = FolderData | RenderedData
