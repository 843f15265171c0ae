"""Find the images of one set that another holds too, with bounded memory.

The fingerprints of the smaller set are held, with those of its parts and mirror images; the larger
set is read in blocks, compared by products of matrices, and let go. What looks alike is verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.overlap.fingerprints import (
    PARTS,
    fingerprints,
    mirrored,
    small_gray,
)
from posebench.datasets.overlap.verifying import Copy, copy_of

# Products of fingerprints from which a pair is looked at.
_ALIKE = 0.7
# Training images that are compared together: 50 MB of products with 5 000 images.
_BLOCK = 128
_THREADS = 2


@dataclass(frozen=True)
class ImagePair:
    """Positions of a training and a validation image that show the same, and how."""

    train: int
    val: int
    copy: Copy


@dataclass(frozen=True)
class Overlap:
    """Pairs of images, and how many could not be read on either side."""

    pairs: tuple[ImagePair, ...]
    unreadable: tuple[int, int]


def find_overlap(
    train: Sequence[Path], val: Sequence[Path], progress: Callable[[str, int, int], None]
) -> Overlap:
    """Return the pairs of a training and a validation image that show the same.

    Found are copies that were encoded anew, resized, mirrored, or cropped by up to a tenth on
    either side. `val` is held in memory (25 KB an image), `train` is read block by block.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        held = _Held.of(val, threads, progress)
        pairs: list[ImagePair] = []
        unreadable = 0
        for start in range(0, len(train), _BLOCK):
            progress("training images", start, len(train))
            images = list(threads.map(small_gray, train[start : start + _BLOCK]))
            unreadable += sum(image is None for image in images)
            known = {start + i: image for i, image in enumerate(images) if image is not None}
            if known and len(held.rows):
                pairs += _pairs(known, held, threads)
        progress("training images", len(train), len(train))
    return Overlap(tuple(pairs), (unreadable, len(val) - len(held.rows)))


@dataclass(frozen=True, eq=False)
class _Held:
    """The V validation images that could be read: positions, pictures in grey, fingerprints.

    `whole` (2 V, F) are those of the images and then of their mirror images; `parts` (20 V, F) of
    every part of each, image by image, and then mirrored.
    """

    rows: NDArray[np.int64]
    images: list[NDArray[np.uint8]]
    whole: NDArray[np.float32]
    parts: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        paths: Sequence[Path],
        threads: ThreadPoolExecutor,
        progress: Callable[[str, int, int], None],
    ) -> _Held:
        """Read the images of a validation set."""
        rows, images, prints = [], [], []
        for row, image in enumerate(threads.map(small_gray, paths)):
            progress("validation images", row, len(paths))
            if image is not None:
                rows.append(row)
                images.append(image)
                prints.append(fingerprints(image))
        if not rows:
            nothing = np.zeros((0, 0), dtype=np.float32)
            return cls(np.zeros(0, dtype=np.int64), [], nothing, nothing)
        every = np.array(prints, dtype=np.float32)
        whole, flat = every[:, 0], every.reshape(len(rows) * len(PARTS), -1)
        return cls(
            np.array(rows, dtype=np.int64),
            images,
            np.concatenate([whole, mirrored(whole)]),
            np.concatenate([flat, mirrored(flat)]),
        )


def _pairs(
    images: dict[int, NDArray[np.uint8]], held: _Held, threads: ThreadPoolExecutor
) -> Iterator[ImagePair]:
    """Yield the verified pairs of a block of training images."""
    positions = list(images)
    prints = np.stack(list(threads.map(fingerprints, images.values())))
    found = _alike(prints, held)

    def verified(each: tuple[int, int, bool]) -> ImagePair | None:
        train, val, flipped = each
        copy = copy_of(images[positions[train]], held.images[val], flipped)
        if copy is None:
            return None
        return ImagePair(positions[train], int(held.rows[val]), copy)

    best: dict[tuple[int, int], ImagePair] = {}
    for pair in threads.map(verified, found):
        if pair is not None:
            place = pair.train, pair.val
            if place not in best or best[place].copy.correlation < pair.copy.correlation:
                best[place] = pair
    yield from best.values()


def _alike(prints: NDArray[np.float32], held: _Held) -> list[tuple[int, int, bool]]:
    """Return what may be a copy: rows of a block (B, parts, F) and of `held`, mirrored or not."""
    count, parts = len(held.images), len(PARTS)
    found: set[tuple[int, int, bool]] = set()
    rows, columns = np.nonzero(prints[:, 0] @ held.parts.T > _ALIKE)
    mirror, column = np.divmod(columns, count * parts)
    found.update(zip(rows.tolist(), (column // parts).tolist(), (mirror > 0).tolist(), strict=True))
    own = prints[:, 1:].reshape(-1, prints.shape[2])
    rows, columns = np.nonzero(own @ held.whole.T > _ALIKE)
    mirror, column = np.divmod(columns, count)
    rows = rows // (parts - 1)
    found.update(zip(rows.tolist(), column.tolist(), (mirror > 0).tolist(), strict=True))
    return sorted(found)
