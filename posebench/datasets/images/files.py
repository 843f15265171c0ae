"""Compare a data set's image files with its annotations, and read them at the annotated size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.checks.findings import Finding, finding, shortened
from posebench.datasets.coco import ImageRecord, PoseDataset
from posebench.datasets.corruptions.applying import corrupted
from posebench.datasets.corruptions.names import parse_corruption
from posebench.datasets.images.headers import ImageHeader, read_header, size_as_read
from posebench.datasets.images.reading import read_image
from posebench.errors import DataError

# Smaller images do not count as resized copies: rounding alone can give them any aspect ratio.
_SMALLEST_COPY = 16
# Bits of a channel that networks are given.
_BITS = 8


def dataset_image(dataset: PoseDataset, index: int) -> NDArray[np.uint8]:
    """Return one image (H, W, 3) BGR, of exactly the annotated size, corrupted if asked for.

    A resized copy is resampled if the data set's `reading` allows it. Raises `DataError` if the
    image cannot be read or has any other size.
    """
    image = _sound_image(dataset, index)
    corruption = parse_corruption(dataset.reading.corruption)
    if corruption is None:
        return image
    record = dataset.images[index]
    return corrupted(image, corruption, record.id, dataset.boxes_of(record.id))


def _sound_image(dataset: PoseDataset, index: int) -> NDArray[np.uint8]:
    record, reading = dataset.images[index], dataset.reading
    image = read_image(record.path, reading.exif)
    height, width = image.shape[:2]
    if (width, height) == (record.width, record.height):
        return image
    if not (reading.allow_resized and is_resized(width, height, record)):
        raise DataError(
            f"The image {record.path} is {width} wide and {height} high; it is annotated as "
            f"{record.width} wide and {record.height} high.",
            hint="`posebench data check` says more about it.",
        )
    shrinks = width > record.width
    resized = cv2.resize(
        image,
        (record.width, record.height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return resized.astype(np.uint8, copy=False)


def is_resized(width: int, height: int, record: ImageRecord) -> bool:
    """Tell whether this size has the annotated aspect ratio, up to a pixel of rounding."""
    factor = (width / record.width + height / record.height) / 2
    off = max(abs(width - factor * record.width), abs(height - factor * record.height))
    return min(width, height) >= _SMALLEST_COPY and off <= 1


def missing_images(dataset: PoseDataset) -> list[Path]:
    """Return the paths of images whose files are missing."""
    return [image.path for image in dataset.images if not _is_file(image.path)]


def image_findings(dataset: PoseDataset) -> list[Finding]:
    """Return findings on image files that are missing, unreadable or not of the annotated size.

    Only headers are read, except for orientations and for formats other than JPEG and PNG.
    """
    missing, unreadable = missing_images(dataset), []
    headers: list[tuple[ImageRecord, ImageHeader, tuple[int, int]]] = []
    absent = set(missing)
    for image in dataset.images:
        if image.path in absent:
            continue
        try:
            header = read_header(image.path)
            size = size_as_read(image.path, header, dataset.reading.exif)
        except DataError as error:
            unreadable.append(error.message)
            continue
        headers.append((image, header, size))
    what = f"{len(missing)} of {len(dataset.images)} image files are missing"
    hint = "Name the folder that holds the images, or get the missing files."
    return [
        *finding("images-missing", what, map(str, sorted(missing)), hint),
        *finding("images-unreadable", "Images that cannot be read", unreadable),
        *_size_findings(dataset, headers),
        *finding(
            "images-depth",
            "Images of more than 8 bits a channel, which are reduced to 8 (of 16 bits the upper "
            "ones, so that an image that uses the lower ones alone is black)",
            (
                f"{shortened(image.path.name)} ({header.bits} bits)"
                for image, header, _ in headers
                if header.bits > _BITS
            ),
        ),
    ]


def _size_findings(
    dataset: PoseDataset, headers: list[tuple[ImageRecord, ImageHeader, tuple[int, int]]]
) -> list[Finding]:
    turned, resized, other, kept, by_exif = [], [], [], [], False
    for image, header, (width, height) in headers:
        name = f"{shortened(image.path.name)} (file {width} wide, {height} high)"
        if (width, height) == (image.width, image.height):
            # The size confirms an orientation that swaps width and height, unless the image is
            # square.
            if header.orientation in (2, 3, 4) or (header.orientation > 4 and width == height):
                kept.append(f"{shortened(image.path.name)} (orientation {header.orientation})")
        elif (width, height) == (image.height, image.width):
            turned.append(name)
            by_exif |= header.orientation > 4
        elif is_resized(width, height, image):
            resized.append(name)
        else:
            other.append(name)
    turning = {
        "apply": "An EXIF orientation turns them; --exif ignore takes them as they are stored.",
        "ignore": "They have an EXIF orientation; --exif apply turns them.",
    }[dataset.reading.exif]
    found = finding(
        "images-turned",
        "Images whose width and height are swapped",
        turned,
        turning if by_exif else None,
    )
    found += _resized_findings(resized, allowed=dataset.reading.allow_resized)
    found += finding("images-other-size", "Images whose size is not the annotated one", other)
    if dataset.reading.exif == "apply":
        found += finding(
            "images-orientation",
            "Images whose EXIF orientation keeps their size; they are turned, as MMPose turns "
            "them, so labels made on stored pixels are upside down or mirrored",
            kept,
            "--exif ignore takes them as they are stored, as the original HRNet code does.",
        )
    return found


def _resized_findings(names: list[str], *, allowed: bool) -> list[Finding]:
    if allowed:
        what = "Images of another size than annotated, resampled to it (--allow-resized)"
        return finding("images-resampled", what, names)
    return finding(
        "images-resized",
        "Images whose size is not the annotated one, of the same aspect ratio",
        names,
        "They look like resized copies: --allow-resized resamples them to the annotated size.",
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long or has forbidden characters
        return False
