"""Read images as MMPose does: BGR uint8 with EXIF rotation applied (mmcv `image/io.py`)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import PoseDataset
from posebench.errors import DataError

_SHOWN = 5


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the image as (H, W, 3) uint8 in BGR order, EXIF rotation applied.

    Raises `DataError` with the path if it is missing, empty or cannot be decoded.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError:
        raise DataError(f"There is no image {path}.") from None
    except OSError as error:
        raise DataError(f"The image {path} cannot be read: {error.strerror}.") from None
    if data.size == 0:
        raise DataError(f"The image {path} is empty.", hint="Get the file again.")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"The image {path} cannot be decoded: {error}.") from None
    if image is None:
        raise DataError(
            f"The image {path} cannot be decoded.",
            hint="It is damaged or not an image. Get the file again.",
        )
    return image.astype(np.uint8, copy=False)


def missing_images(dataset: PoseDataset) -> list[Path]:
    """Return the paths of the data set's images that are no files."""
    return [image.path for image in dataset.images if not image.path.is_file()]


def check_images_exist(dataset: PoseDataset) -> None:
    """Raise `DataError` with the count and the first paths if images are missing."""
    missing = missing_images(dataset)
    if not missing:
        return
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    listing = ", ".join(str(path) for path in missing[:_SHOWN])
    raise DataError(
        f"{len(missing)} of {len(dataset.images)} images of {dataset.annotations} are missing: "
        f"{listing}{more}.",
        hint="Name the folder that holds the images, or get the missing files.",
    )
