"""Reading image files, and errors for bad ones."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from posebench.datasets.images.reading import read_image
from posebench.errors import DataError


def test_pixels_are_bgr(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = tmp_path / "ünïcode.png"
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    read = read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


def test_grey_images_get_three_channels(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((4, 6), 9, np.uint8))
    assert read_image(path).shape == (4, 6, 3)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", np.zeros((8, 16, 3), np.uint8))[1].tobytes()
    # One directory entry: orientation (0x0112) = 6, turn right.
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    assert read_image(path).shape == (16, 8, 3)
    assert read_image(path, "ignore").shape == (8, 16, 3)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no image"), (b"", "is empty"), (b"hello", "decoded")]
)
def test_bad_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_image(path)
    assert str(path) in caught.value.message
