"""What a recipe trains on: rendered scenes, or a folder of labelled images. Never loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from posebench.datasets.keypoints import COCO, KeypointSet, load_keypoint_set
from posebench.datasets.layout import locate
from posebench.datasets.requests import DataRequest, load_pose_dataset
from posebench.datasets.synthetic import LEVELS
from posebench.errors import SpecError, nearest
from posebench.files.hashing import stamp

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

    `validation` is the split that a model is scored on while it trains; `category` is a name or an
    id, needed if several have keypoints.
    `keypoints` is a built-in set or a YAML file that says what is labelled; by default it is a file
    `keypoints.yaml` in the folder, and without one the annotations say it.
    """

    folder: str
    split: str = "train"
    limit: int | None = None
    keypoints: str | None = None
    validation: str = "val"
    category: str | int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise SpecError("data: limit must be at least 1.")

    @property
    def keypoint_set(self) -> KeypointSet:
        """The keypoints that are labelled; where no file says it, this reads the annotations."""
        named = self.request().keypoints
        return self.labels.keypoints if named is None else load_keypoint_set(named)

    @property
    def labels(self) -> FolderLabels:
        """What the annotations say, read again when their file or the keypoints' has changed.

        Raises `PosebenchError` if they cannot be used.
        """
        request = self.request()
        annotations = locate(request.dataset, split=request.split).annotations
        named = Path(request.keypoints or "")
        return _labels(request, stamp(annotations), stamp(named) if named.is_file() else None)

    def request(self, split: str | None = None, limit: int | None = None) -> DataRequest:
        """Return the request for the images to train on, or for another split of the folder."""
        own = Path(self.folder) / KEYPOINTS_FILE
        return DataRequest(
            dataset=self.folder,
            split=split or self.split,
            keypoints=self.keypoints or (str(own) if own.is_file() else None),
            limit=limit if split else self.limit,
            category=None if self.category is None else str(self.category),
        )


@dataclass(frozen=True)
class FolderLabels:
    """Of a folder's data: the hash of the annotation file, the images, and what is labelled."""

    annotations_sha256: str
    images: tuple[Path, ...]
    keypoints: KeypointSet


# Every arm of a suite asks again, and reading COCO takes many seconds.
@lru_cache(maxsize=16)
def _labels(request: DataRequest, *_stamps: tuple[int, int] | None) -> FolderLabels:
    dataset = load_pose_dataset(request, lambda _done, _total: None)
    images = tuple(image.path for image in dataset.images)
    return FolderLabels(dataset.annotations_sha256, images, dataset.keypoints)


TrainingData = FolderData | RenderedData
