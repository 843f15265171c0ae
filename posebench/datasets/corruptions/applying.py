"""Corruptions by kind, and how one is applied to an image of a data set."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.corruptions.blur import blurred
from posebench.datasets.corruptions.brightness import brightened, darkened
from posebench.datasets.corruptions.compression import compressed
from posebench.datasets.corruptions.fog import foggy
from posebench.datasets.corruptions.names import Corruption, Kind
from posebench.datasets.corruptions.noise import noisy
from posebench.datasets.corruptions.occluders import occluded
from posebench.datasets.corruptions.truncation import truncated

Apply = Callable[
    [NDArray[np.uint8], int, np.random.Generator, NDArray[np.float64]], NDArray[np.uint8]
]
"""An image (H, W, 3) BGR, the level, chance, and persons' boxes (P, 4) x, y, w, h: an image."""

CORRUPTIONS: Mapping[Kind, Apply] = MappingProxyType(
    {
        "noise": noisy,
        "blur": blurred,
        "fog": foggy,
        "jpeg": compressed,
        "bright": brightened,
        "dark": darkened,
        "occluders": occluded,
        "truncation": truncated,
    }
)


def corrupted(
    image: NDArray[np.uint8], corruption: Corruption, image_id: int, boxes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) BGR corrupted; `boxes` (P, 4), x, y, w, h, are its persons'.

    Chance depends on the seed, the kind and the image's id: it is the same at every level.
    """
    kind = zlib.crc32(corruption.kind.encode())
    rng = np.random.default_rng([corruption.seed, kind, image_id % 2**63])
    return CORRUPTIONS[corruption.kind](image, corruption.level, rng, boxes)
