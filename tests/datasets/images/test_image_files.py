"""Image files compared with annotations: sizes, orientations, resized copies."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from posebench.datasets.checks.survey import raise_errors
from posebench.datasets.coco import ImageRecord, PoseDataset
from posebench.datasets.images.files import dataset_image, image_findings
from posebench.datasets.images.headers import ImageHeader, read_header
from posebench.datasets.images.reading import read_image
from posebench.datasets.images.rules import ImageReading
from posebench.datasets.keypoints import COCO
from posebench.errors import DataError

WIDTH, HEIGHT = 96, 64


def picture() -> NDArray[np.uint8]:
    """Return an image (H, W, 3) that looks different in each orientation."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    planes = [rows * 255 // HEIGHT, columns * 255 // WIDTH, (rows + columns) // 2]
    return np.stack(planes, axis=2).astype(np.uint8)


def exif(orientation: int, order: str = "<") -> bytes:
    """Return a TIFF header with one entry: the orientation."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def write_jpeg(path: Path, image: NDArray[np.uint8], tiff: bytes = b"") -> None:
    data = cv2.imencode(".jpg", image)[1].tobytes()
    if tiff:
        body = b"Exif\0\0" + tiff
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    path.write_bytes(data)


def dataset_of(*paths: Path, size: tuple[int, int] = (WIDTH, HEIGHT), **rule: Any) -> PoseDataset:
    records = tuple(ImageRecord(i, path, *size) for i, path in enumerate(paths))
    raw: dict[str, Any] = {"annotations": []}
    dataset = PoseDataset("x", "coco", Path("a.json"), "", records, COCO, "annotation", raw=raw)
    return dataclasses.replace(dataset, reading=ImageReading(**rule))


def kinds(dataset: PoseDataset) -> list[str]:
    return [item.kind for item in image_findings(dataset)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_headers_of_jpeg(tmp_path: Path, orientation: int, order: str) -> None:
    path = tmp_path / "a.jpg"
    write_jpeg(path, picture(), exif(orientation, order))
    assert read_header(path) == ImageHeader(WIDTH, HEIGHT, orientation)
    assert read_image(path, "ignore").shape[:2] == (HEIGHT, WIDTH)
    turned = (WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH)
    assert read_image(path).shape[:2] == turned


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a.jpg"])
def test_headers_of_formats(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    cv2.imwrite(str(path), picture())
    assert read_header(path) == ImageHeader(WIDTH, HEIGHT)
    assert kinds(dataset_of(path)) == []


def test_a_progressive_jpeg_and_damaged_exif(tmp_path: Path) -> None:
    data = cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_header(tmp_path / "a.jpg") == ImageHeader(WIDTH, HEIGHT)
    for tiff in (b"II*\0\xff\xff\xff\xff", b"nonsense", exif(9), exif(6)[:14]):
        write_jpeg(tmp_path / "b.jpg", picture(), tiff)
        assert read_header(tmp_path / "b.jpg") == ImageHeader(WIDTH, HEIGHT)


def test_cut_off_and_other_files(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", picture())
    whole = (tmp_path / "a.jpg").read_bytes()
    for length in (1, 2, 3, 10, 30):
        (tmp_path / "a.jpg").write_bytes(whole[:length])
        assert kinds(dataset_of(tmp_path / "a.jpg")) == ["images-unreadable"]
    assert kinds(dataset_of(tmp_path / ("x" * 5000))) == ["images-missing"]
    assert kinds(dataset_of(tmp_path / "a\0b")) == ["images-missing"]


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_orientations_that_keep_the_size_are_reported(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.jpg"
    write_jpeg(path, picture(), exif(orientation))
    (found,) = image_findings(dataset_of(path))
    assert (found.kind, found.level) == ("images-orientation", "warning")
    assert "--exif ignore" in str(found.hint)
    assert kinds(dataset_of(path, exif="ignore")) == []
    write_jpeg(tmp_path / "b.jpg", picture())
    stored = dataset_image(dataset_of(path, exif="ignore"), 0)
    np.testing.assert_array_equal(stored, read_image(tmp_path / "b.jpg"))
    assert not np.array_equal(stored, dataset_image(dataset_of(path), 0))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_orientations_that_swap_the_size(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.jpg"
    write_jpeg(path, picture(), exif(orientation))
    assert kinds(dataset_of(path, size=(HEIGHT, WIDTH))) == []
    assert kinds(dataset_of(path, exif="ignore")) == []
    for size, rule, said in (
        ((WIDTH, HEIGHT), "apply", "--exif ignore"),
        ((HEIGHT, WIDTH), "ignore", "--exif apply"),
    ):
        wrong = dataset_of(path, size=size, exif=rule)
        (found,) = image_findings(wrong)
        assert found.kind == "images-turned" and said in str(found.hint)
        with pytest.raises(DataError, match="annotated as"):
            dataset_image(wrong, 0)
    square = tmp_path / "square.jpg"
    write_jpeg(square, picture()[:, :HEIGHT], exif(orientation))
    assert kinds(dataset_of(square, size=(HEIGHT, HEIGHT))) == ["images-orientation"]


@pytest.mark.parametrize(("name", "kind"), [("a.png", "uint16"), ("a.tiff", "float32")])
def test_images_of_more_than_8_bits_are_reported(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    assert cv2.imwrite(str(path), picture().astype(kind))
    (found,) = image_findings(dataset_of(path))
    assert found.kind == "images-depth" and f"({8 * np.dtype(kind).itemsize} bits)" in str(found)


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.bmp", "a.jpg"])
def test_images_of_8_bits_are_not(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert cv2.imwrite(str(path), picture())
    assert kinds(dataset_of(path)) == []


@pytest.mark.parametrize("factor", [0.5, 0.33, 2])
def test_resized_copies_are_refused_or_resampled(tmp_path: Path, factor: float) -> None:
    path, small = tmp_path / "a.png", cv2.resize(picture(), None, fx=factor, fy=factor)
    cv2.imwrite(str(path), small)
    dataset = dataset_of(path)
    (found,) = image_findings(dataset)
    assert found.kind == "images-resized" and "--allow-resized" in str(found.hint)
    with pytest.raises(DataError, match="same aspect ratio"):
        raise_errors([found], "a.json")
    with pytest.raises(DataError, match="annotated as 96 wide and 64 high"):
        dataset_image(dataset, 0)
    allowed = dataset_of(path, allow_resized=True)
    assert kinds(allowed) == ["images-resampled"]
    raise_errors(image_findings(allowed), "a.json")
    image = dataset_image(allowed, 0)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(image.astype(int) - picture())[4:-4, 4:-4].mean() < 4


@pytest.mark.parametrize("shape", [(1, 1), (64, 90), (10, 15), (48, 48)])
def test_other_sizes_are_refused_whatever_is_allowed(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((*shape, 3), np.uint8))
    dataset = dataset_of(path, allow_resized=True)
    assert kinds(dataset) == ["images-other-size"]
    with pytest.raises(DataError, match="annotated as"):
        dataset_image(dataset, 0)


def test_the_one_resized_file_of_six_is_named(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(6)]
    for index, path in enumerate(paths):
        cv2.imwrite(
            str(path), picture()[: 32 if index == 4 else None, : 48 if index == 4 else None]
        )
    (found,) = image_findings(dataset_of(*paths))
    assert (found.kind, found.count) == ("images-resized", 1) and "4.png" in str(found)


def test_missing_images_are_counted_and_named(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(8)]
    cv2.imwrite(str(paths[0]), picture())
    (found,) = image_findings(dataset_of(*paths))
    assert "7 of 8 image files are missing" in str(found)
    assert "1.png" in str(found) and "and 2 more" in str(found)
    assert image_findings(dataset_of(paths[0])) == []
