"""Read images as MMPose does: BGR uint8 with EXIF rotation applied (mmcv `image/io.py`)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.images.rules import ExifRule
from posebench.errors import DataError


def read_image(
    path: Path, exif: ExifRule = "apply", *, any_depth: bool = False
) -> NDArray[np.uint8]:
    """Return the image as (H, W, 3) uint8 in BGR order; with `any_depth`, in the file's own type.

    Raises `DataError`, with the path, if it is missing, empty or cannot be decoded.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError:
        raise DataError(f"There is no image {path}.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"The image {path} cannot be read: {why}.") from None
    if data.size == 0:
        raise DataError(f"The image {path} is empty.", hint="Get the file again.")
    flags = cv2.IMREAD_COLOR
    if exif == "ignore":
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    if any_depth:
        flags |= cv2.IMREAD_ANYDEPTH
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise DataError(f"The image {path} cannot be decoded: {error}.") from None
    if image is None:
        raise DataError(
            f"The image {path} cannot be decoded.",
            hint="It is damaged or not an image. Get the file again.",
        )
    return image if any_depth else image.astype(np.uint8, copy=False)
