"""Networks whose answer to a probe is known, and people for them to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.datasets.keypoints import COCO, KeypointSet
from posebench.lab.probes.people import People
from posebench.lab.probes.subject import Look, Subject
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.features import AnswerVectors, Features
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

SIZE = InputSize(128, 96)
ROWS, COLUMNS = SIZE.height // 4, SIZE.width // 4


def spec_of(paradigm: str, keypoints: KeypointSet = COCO, sigma: float = 2.0) -> ModelSpec:
    codec: Any = HeatmapCodec(decoder="dark", sigma=sigma)
    if paradigm == "simcc":
        codec = SimccCodec(sigma=(8.0, 8.0), normalize=False)
    return ModelSpec(BackboneSpec("resnet"), HeadSpec(paradigm), codec, SIZE, keypoints)


def people_at(places: NDArray[np.float64], keypoints: KeypointSet = COCO) -> People:
    """Return people, one on each image, with all keypoints labelled; crops number them."""
    count = len(places)
    crops = torch.arange(count, dtype=torch.float32).reshape(-1, 1, 1, 1)
    return People(
        crops=crops.expand(count, 3, SIZE.height, SIZE.width).contiguous(),
        pixels=np.zeros((count, SIZE.height, SIZE.width, 3), np.uint8),
        image=np.arange(count),
        keypoints=places.astype(np.float64),
        labelled=np.ones(places.shape[:2], bool),
        sides=np.full(count, 100.0),
        keypoint_set=keypoints,
    )


def middles(rng: np.random.Generator, people: int, keypoints: int = 17) -> NDArray[np.float64]:
    """Return places (N, K, 2) in the middles of cells of stride 4, no two of a person's alike."""
    cells = np.stack([rng.permutation(ROWS * COLUMNS)[:keypoints] for _ in range(people)])
    rows, columns = np.divmod(cells, COLUMNS)
    return np.stack([columns, rows], axis=-1) * 4 + 1.5


def rows_of(crops: Tensor) -> list[int]:
    """Return which people crops are of."""
    return [int(number) for number in crops[:, 0, 0, 0]]


def subject_of(
    spec: ModelSpec,
    people: People,
    answer: Callable[[int], tuple[NDArray[Any], ...]],
    maps: Callable[[int], Mapping[str, NDArray[Any]]] = lambda _: {},
    vectors: AnswerVectors | None = None,
    codes: Callable[[int], NDArray[Any]] | None = None,
) -> Subject:
    """Return a network that answers as told, person by person."""

    def outputs(crops: Tensor) -> tuple[Tensor, ...]:
        found = [answer(row) for row in rows_of(crops)]
        return tuple(
            torch.from_numpy(np.stack(each).astype(np.float32)) for each in zip(*found, strict=True)
        )

    def features(crops: Tensor) -> Features:
        rows = rows_of(crops)
        found = [maps(row) for row in rows]
        stacked = {
            name: torch.from_numpy(np.stack([each[name] for each in found]).astype(np.float32))
            for name in found[0]
        }
        own = None
        if codes is not None:
            own = torch.from_numpy(np.stack([codes(row) for row in rows]).astype(np.float32))
        return Features(stacked, own, outputs(crops))

    return Subject(spec, Look(outputs, features, vectors), people)
