"""The overlap of two data sets, by image and by person, and the file that holds it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from posebench.datasets.layout import annotation_files, images_for
from posebench.datasets.overlap.find import ImagePair, find_overlap
from posebench.datasets.overlap.verifying import CORRELATION
from posebench.errors import DataError, UsageError
from posebench.files.json_file import read_json
from posebench.files.records import mapping_from_record
from posebench.files.writing import naming_what_cannot_be_written, write_json

SCHEMA_VERSION = 1
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
# Boxes that overlap by so much of their union are of one person.
_SAME_PERSON = 0.5


@dataclass(frozen=True)
class ImageSet:
    """Images to compare: paths, ids and, if there are annotations, the persons of each image.

    `persons` map an image's position to its persons' ids and boxes [x, y, w, h] in pixels; `sizes`
    are width and height as annotated. Without annotations, ids are positions. Images are named by
    their paths below `folder`.
    """

    name: str
    folder: Path
    paths: tuple[Path, ...]
    ids: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...] = ()
    persons: Mapping[int, Sequence[tuple[int, list[float]]]] = field(default_factory=dict)
    annotations_sha256: str | None = None

    def name_of(self, position: int) -> str:
        """Return what an image is called in reports."""
        path = self.paths[position]
        return (
            path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        ).as_posix()


@dataclass(frozen=True)
class PersonPair:
    """Annotation ids of one person in both sets, and how far the boxes agree (IoU)."""

    train: int
    val: int
    iou: float


@dataclass(frozen=True)
class SharedImage:
    """One image of both sets: names and ids, how it lies in the other, and its persons.

    `window` is where the validation image lies in the training image, as x, y, width and height in
    shares of the latter; beyond 0 to 1 the training image is the smaller part.
    """

    train: str
    val: str
    train_id: int
    val_id: int
    correlation: float
    flipped: bool
    window: tuple[float, float, float, float]
    persons: tuple[PersonPair, ...] = ()


@dataclass(frozen=True)
class OverlapReport:
    """All images that a training set shares with a validation set, in the latter's order.

    `annotations_sha256` is that of the validation set's annotations, None without any.
    """

    train: str
    val: str
    annotations_sha256: str | None
    train_images: int
    val_images: int
    unreadable: tuple[int, int]
    least_correlation: float
    pairs: tuple[SharedImage, ...]

    @property
    def images(self) -> tuple[int, ...]:
        """The ids of the validation images that training has seen, each once."""
        return tuple(sorted({pair.val_id for pair in self.pairs}))

    @property
    def persons(self) -> tuple[int, ...]:
        """The annotation ids of the validation set's persons that are annotated in training too."""
        return tuple(sorted({each.val for pair in self.pairs for each in pair.persons}))


def image_set(path: Path, images: Path | None = None) -> ImageSet:
    """Read what to compare: an annotation file, a folder with one, or a folder of images.

    Raises `UsageError` if a folder has several annotation files, and `DataError` if there is
    nothing to compare.
    """
    if not path.exists():
        raise DataError(f"There is no file or folder {path}.")
    files = annotation_files(path) if path.is_dir() else [path]
    if len(files) > 1:
        names = ", ".join(str(file) for file in files[:6])
        raise UsageError(f"{path} has {len(files)} annotation files.", hint=f"Name one of {names}.")
    if files:
        return _annotated(files[0], images)
    paths = sorted(_images_in(path))
    if not paths:
        raise DataError(f"{path} holds neither annotations nor images.")
    return ImageSet(str(path), path, tuple(paths), tuple(range(len(paths))))


def _images_in(folder: Path) -> Iterator[Path]:
    """Yield the images of a folder and those below, also of folders that links lead to, once."""
    seen = set[Path]()
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place)
        real = here.resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (
            here / name
            for name in files
            if Path(name).suffix.lower() in _SUFFIXES and (here / name).is_file()
        )


def _annotated(path: Path, images: Path | None) -> ImageSet:
    raw, digest = read_json(path, "annotation file")
    folder = images or images_for(path)
    if folder is None:
        raise DataError(
            f"No folder of images found for {path}.",
            hint="Name it with --train-images or --val-images.",
        )
    try:
        rows = raw["images"]
        ids = tuple(int(row["id"]) for row in rows)
        paths = tuple(folder / row["file_name"] for row in rows)
        sizes = tuple((int(row["width"]), int(row["height"])) for row in rows)
        place = {name: index for index, name in enumerate(ids)}
        persons: dict[int, list[tuple[int, list[float]]]] = {}
        for row in raw.get("annotations", ()):
            if row["image_id"] in place and not row.get("iscrowd"):
                box = [float(value) for value in row["bbox"]]
                persons.setdefault(place[row["image_id"]], []).append((int(row["id"]), box))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"The annotation file {path} has no usable images and boxes: {error!r}.",
            hint=f"`posebench data check {path}` lists everything.",
        ) from None
    return ImageSet(str(path), folder, paths, ids, sizes, persons, digest)


def overlap_report(
    train: ImageSet, val: ImageSet, progress: Callable[[str, int, int], None]
) -> OverlapReport:
    """Find what two sets share.

    Raises `DataError` if one of them lists no images, or none of its images can be read.
    """
    for each in (train, val):
        if not each.paths:
            raise DataError(f"{each.name} lists no images.")
    found = find_overlap(train.paths, val.paths, progress)
    for each, lost in zip((train, val), found.unreadable, strict=True):
        if lost == len(each.paths):
            raise DataError(f"No image of {each.name} can be read, such as {each.paths[0]}.")
    pairs = sorted(found.pairs, key=lambda pair: (pair.val, pair.train))
    return OverlapReport(
        train=train.name,
        val=val.name,
        annotations_sha256=val.annotations_sha256,
        train_images=len(train.paths),
        val_images=len(val.paths),
        unreadable=found.unreadable,
        least_correlation=CORRELATION,
        pairs=tuple(_shared(train, val, pair) for pair in pairs),
    )


def _shared(train: ImageSet, val: ImageSet, pair: ImagePair) -> SharedImage:
    copy = pair.copy
    return SharedImage(
        train=train.name_of(pair.train),
        val=val.name_of(pair.val),
        train_id=train.ids[pair.train],
        val_id=val.ids[pair.val],
        correlation=copy.correlation,
        flipped=copy.flipped,
        window=tuple(round(value, 4) for value in copy.window),  # type: ignore[arg-type]
        persons=tuple(_shared_persons(train, val, pair)),
    )


def _shared_persons(train: ImageSet, val: ImageSet, pair: ImagePair) -> list[PersonPair]:
    """Return the persons whose boxes lie at one place, the validation set's moved into place."""
    theirs, own = train.persons.get(pair.train, ()), val.persons.get(pair.val, ())
    if not theirs or not own:
        return []
    boxes = np.array([box for _, box in own]) / np.tile(val.sizes[pair.val], 2)
    if pair.copy.flipped:
        boxes[:, 0] = 1 - boxes[:, 0] - boxes[:, 2]
    x, y, w, h = pair.copy.window
    boxes = boxes * [w, h, w, h] + [x, y, 0, 0]
    others = np.array([box for _, box in theirs]) / np.tile(train.sizes[pair.train], 2)
    iou = _iou(others, boxes)
    found = []
    for row, (name, _) in enumerate(theirs):
        column = int(iou[row].argmax())
        if iou[row, column] >= _SAME_PERSON and int(iou[:, column].argmax()) == row:
            found.append(PersonPair(name, own[column][0], round(float(iou[row, column]), 3)))
    return found


def _iou(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the IoU (A, B) of boxes [x, y, w, h]; those of crops may lie outside of the image."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, :2] + one[:, None, 2:], other[None, :, :2] + other[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:], axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-12))


def write_overlap(path: Path, report: OverlapReport) -> None:
    """Write an overlap, with the images and persons to leave out, as JSON.

    Raises `DataError` if the file cannot be written.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "images": list(report.images),
        "persons": list(report.persons),
        "overlap": mapping_from_record(report),
    }
    with naming_what_cannot_be_written(path):
        write_json(path, document)
