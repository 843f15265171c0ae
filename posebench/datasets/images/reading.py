"""Read images as MMPose does: BGR uint8 with EXIF rotation applied (mmcv `image/io.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.images.rules import ExifRule
from posebench.errors import DataError


def read_image(path: Path, exif: ExifRule = "apply") -> NDArray[np.uint8]:
    """Return the image as (H, W, 3) uint8 in BGR order.

    Raises `DataError`, with the path, if it is missing, empty or cannot be decoded.
    """
    flags = cv2.IMREAD_COLOR
    if exif == "ignore":
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    return _decoded(path, flags).astype(np.uint8, copy=False)


def read_stored(path: Path) -> NDArray[Any]:
    """Return the image as (H, W, 3) in BGR order, as it is stored and in the file's own type.

    Raises `DataError` as `read_image` does.
    """
    return _decoded(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_ANYDEPTH)


def _decoded(path: Path, flags: int) -> NDArray[Any]:
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError:
        raise DataError(f"There is no image {path}.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"The image {path} cannot be read: {why}.") from None
    if data.size == 0:
        raise DataError(f"The image {path} is empty.", hint="Get the file again.")
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise DataError(f"The image {path} cannot be decoded: {error}.") from None
    if image is None:
        raise DataError(
            f"The image {path} cannot be decoded.",
            hint="It is damaged or not an image. Get the file again.",
        )
    return image


def read_gray(path: Path, at_least: int) -> NDArray[np.uint8]:
    """Return the image (H, W) in grey, decoded at a fraction of its size where that is enough.

    The longer side keeps `at_least` pixels, if it has so many. Raises `DataError` as `read_image`
    does.
    """
    from posebench.datasets.images.headers import read_header

    header = read_header(path)
    longer = max(header.width, header.height)
    flags = next(
        (flag for factor, flag in _REDUCED.items() if longer >= factor * at_least),
        cv2.IMREAD_GRAYSCALE,
    )
    return _decoded(path, flags).astype(np.uint8, copy=False)


_REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
}
