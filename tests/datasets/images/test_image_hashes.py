"""Hashes of images: by bytes, or by pixels if they were rendered; each file is read once."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from posebench.datasets.images import hashes as image_hashes
from posebench.datasets.images.hashes import images_sha256
from posebench.datasets.synthetic import write_dataset
from posebench.files.hashing import sha256_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image_hashes, "_KNOWN", {})
    monkeypatch.setattr(image_hashes, "_WORTH_KEEPING", 1)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    write_dataset(folder, split="val", count=2)
    return folder / "val"


def images(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def compressed_otherwise(folder: Path) -> None:
    for path in images(folder):
        cv2.imwrite(str(path), cv2.imread(str(path)), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def test_content_counts_and_neither_place_nor_time(rendered: Path, tmp_path: Path) -> None:
    wanted = images_sha256(images(rendered))
    copy = Path(shutil.copytree(rendered, tmp_path / "copy"))
    assert images_sha256(images(copy)) == wanted
    os.utime(images(copy)[0], ns=(1, 1))
    assert images_sha256(images(copy)) == wanted
    assert images_sha256(images(copy)[:1]) != wanted
    assert images_sha256(images(copy)[::-1]) != wanted
    images(copy)[0].write_bytes(images(copy)[0].read_bytes() + b" ")
    assert images_sha256(images(copy)) != wanted


def test_another_rendering_changes_the_hash_and_another_compression_does_not(
    rendered: Path, tmp_path: Path
) -> None:
    wanted = images_sha256(images(rendered))
    write_dataset(tmp_path, split="val", count=2)
    folder = tmp_path / "val"
    kept = (folder / "pixels.sha256").read_text()
    compressed_otherwise(folder)
    assert images_sha256(images(folder)) != wanted  # a file that was not rendered here
    by_file = [sha256_of(path) for path in images(folder)]
    pixels = [line.split()[1] for line in kept.splitlines()]
    image_hashes.write_pixel_hashes(folder, zip(by_file, pixels, strict=True))
    assert images_sha256(images(folder)) == wanted


def test_pixels_have_their_shape() -> None:
    flat = np.zeros((2, 6, 3), np.uint8)
    assert image_hashes.pixels_sha256(flat) != image_hashes.pixels_sha256(flat.reshape(3, 4, 3))


def test_a_file_is_read_once(
    rendered: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(rendered, tmp_path / "copy"))
    wanted = images_sha256(images(folder))
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return sha256_of(path)

    monkeypatch.setattr(image_hashes, "sha256_of", counted)
    monkeypatch.setattr(image_hashes, "_KNOWN", {})  # as in another process
    assert images_sha256(images(folder)) == wanted
    assert read == []
    images(folder)[1].write_bytes(b"other")
    assert images_sha256(images(folder)) != wanted
    assert read == [images(folder)[1]]
    for index in (cache / "image-hashes").iterdir():
        index.write_text("[1, 2")
    monkeypatch.setattr(image_hashes, "_KNOWN", {})
    images_sha256(images(folder))
    assert len(read) == 3


def test_what_cannot_be_read_fails_where_it_is_needed(tmp_path: Path) -> None:
    assert len(images_sha256([tmp_path / "none.png"])) == 64


def test_what_was_used_longest_ago_is_forgotten_beyond_a_bound(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_hashes, "_MOST_KNOWN", 4)
    a, b, c = (Path(shutil.copytree(rendered, tmp_path / name)) for name in "abc")
    for folder in (a, b, a, c):
        images_sha256(images(folder))
    assert list(image_hashes._KNOWN) == [a.resolve(), c.resolve()]
    together = images_sha256([*images(a), *images(b), *images(c)])
    assert len(image_hashes._KNOWN) == 3  # what one call needs stays together
    monkeypatch.setattr(image_hashes, "_KNOWN", {})
    assert images_sha256([*images(a), *images(b), *images(c)]) == together


def test_calls_side_by_side_read_a_file_once(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(rendered, tmp_path / "copy"))
    read: list[Path] = []

    def slow(path: Path) -> str:
        read.append(path)
        time.sleep(0.05)
        return sha256_of(path)

    monkeypatch.setattr(image_hashes, "sha256_of", slow)
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(images_sha256, [images(folder)] * 4))
    assert len(found) == 1
    assert sorted(read) == images(folder)
