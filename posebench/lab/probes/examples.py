"""Examples of matches for figures: crops as small WebP files, with what was sought and found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.lab.probes.episodes import Episodes, Points
from posebench.lab.probes.people import People

_EXAMPLES = 4
_QUALITY = 80


def example_arrays(
    people: People,
    points: Points,
    episodes: Episodes,
    matched: Mapping[str, NDArray[np.float64]],
) -> dict[str, NDArray[Any]]:
    """Return examples spread over the episodes of one shot, as arrays to store.

    `matched` are the places (E, 2) that were found, by layer. Each example has the support's and
    the person's crop (bytes of WebP), the support's point, the truth, and the match of each layer.
    """
    count = len(episodes.person)
    chosen = np.unique(np.linspace(0, count - 1, 2 * _EXAMPLES + 1).astype(int)[1::2])
    arrays: dict[str, NDArray[Any]] = {}
    for place, episode in enumerate(chosen):
        person, point = episodes.person[episode], episodes.point[episode]
        support = episodes.support[episode, 0]
        key = f"example/{place}"
        arrays[f"{key}/support"] = _webp(people.pixels[support])
        arrays[f"{key}/person"] = _webp(people.pixels[person])
        arrays[f"{key}/name"] = np.array([people.keypoint_set.keypoints[point]])
        arrays[f"{key}/wanted"] = np.stack(
            [points.places[support, point], points.places[person, point]]
        )
        for layer, places in matched.items():
            arrays[f"{key}/found/{layer}"] = places[episode]
    return arrays


def _webp(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    done, data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    assert done, "OpenCV writes WebP"
    return np.asarray(data, dtype=np.uint8).reshape(-1)
