"""C8: whether SimCC's bins are a position code: near ones alike, far ones not, evenly spaced.

The rows of the last linear layer of an axis are the vectors that stand for its bins. Their cosines
by distance, the dimensions that they use and their spacing are held against an untrained twin's and
against the training targets taken as vectors, which are such a code by design.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import UnsupportedProbeError
from posebench.lab.probes.subject import Subject, check_even_bins
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.results.probes import Arm, ProbeReading, ReadingRow
from posebench.suites.probes import ProbeSettings

Floats = NDArray[np.float64]
# A matrix is stored with at most this many rows, enough for a picture.
_PICTURE = 96
_AXES = {"simcc_x": "x", "simcc_y": "y"}


def position_code(subject: Subject, _settings: ProbeSettings) -> ProbeReading:
    """Return what the position vectors of both axes are like, with their controls."""
    codec = subject.spec.codec
    if isinstance(codec, HeatmapCodec):
        raise UnsupportedProbeError(
            "It has no position vectors, one for each bin, as SimCC's last layer has."
        )
    if not isinstance(codec, SimccCodec):
        raise UnsupportedProbeError("Its outputs are not bins, so there are no position vectors.")
    check_even_bins(codec)
    if not subject.trained.learned().positions:
        raise UnsupportedProbeError("The layers of position vectors cannot be found.")
    rows: list[ReadingRow] = []
    arrays: dict[str, NDArray[Any]] = {}
    for place, (name, axis) in enumerate(_AXES.items()):
        sigma = codec.sigma[place]
        codes: dict[Arm, Floats] = {
            arm: look.learned().positions[name].rows.double().numpy()
            for arm, look in subject.arms()
        }
        codes["target"] = gaussian_code(len(codes["trained"]), sigma)
        for arm, vectors in codes.items():
            cosine = cosines(vectors)
            rows.append(ReadingRow(arm, {"axis": axis}, {}, code_numbers(vectors, sigma)))
            arrays[f"by distance/{arm}/{axis}"] = by_distance(cosine)
            arrays[f"sigma/{arm}/{axis}"] = np.array([sigma])
            if arm != "untrained":
                step = -(-len(cosine) // _PICTURE)
                arrays[f"cosine/{arm}/{axis}"] = cosine[::step, ::step].astype(np.float32)
                arrays[f"curve/{arm}/{axis}"] = principal(vectors)[0][:, :2].astype(np.float32)
    return ProbeReading(tuple(rows), arrays, subject.notes())


def code_numbers(vectors: Floats, sigma: float) -> Mapping[str, float | None]:
    """Return the numbers of position vectors (bins, D) whose targets have `sigma` bins."""
    profile = by_distance(cosines(vectors))[0]
    counts = np.arange(len(vectors), 0, -1)
    first, near = round(4 * sigma), max(1, round(sigma))
    far = None
    if first < len(vectors):
        far = float(np.average(profile[first:], weights=counts[first:]))
    steps = np.linalg.norm(np.diff(vectors, axis=0), axis=1)
    variances = principal(vectors)[1]
    total = float((variances**2).sum())
    near_cosine = float(profile[near]) if near < len(profile) else None
    return {
        "near cosine": near_cosine,
        "far cosine": far,
        "near minus far": None if far is None or near_cosine is None else near_cosine - far,
        "half distance": half_distance(profile, sigma),
        "effective dimension": float(variances.sum()) ** 2 / total if total else None,
        "spacing variation": float(steps.std() / steps.mean()) if steps.any() else None,
    }


def gaussian_code(bins: int, sigma: float) -> Floats:
    """Return the training targets of every bin as vectors (bins, bins)."""
    offset = np.arange(bins)[:, None] - np.arange(bins)
    return np.asarray(np.exp(-0.5 * (offset / sigma) ** 2))


def cosines(vectors: Floats) -> Floats:
    """Return the cosines (R, R) of vectors (R, D); those of a zero vector are 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1.0)
    return np.asarray(unit @ unit.T)


def by_distance(cosine: Floats) -> Floats:
    """Return mean, 10 % and 90 % quantile (3, bins) of the cosines by the distance of two bins."""
    diagonals = [np.diagonal(cosine, offset) for offset in range(len(cosine))]
    rows = [[d.mean(), *np.quantile(d, (0.1, 0.9))] for d in diagonals]
    return np.asarray(np.array(rows).T)


def half_distance(profile: Floats, sigma: float) -> float | None:
    """Return the distance in σ at which the mean cosine first falls to one half."""
    below = np.flatnonzero(profile <= 0.5)
    if not len(below) or below[0] == 0:
        return None
    end = below[0]
    share = (profile[end - 1] - 0.5) / (profile[end - 1] - profile[end])
    return float((end - 1 + share) / sigma)


def principal(vectors: Floats) -> tuple[Floats, Floats]:
    """Return vectors along their principal components (R, C), and the components' variances."""
    centred = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    # A component's sign is free: its largest entry is positive.
    largest = np.abs(left).argmax(axis=0)
    signs = np.where(left[largest, np.arange(left.shape[1])] < 0, -1.0, 1.0)
    return np.asarray(left * signs * values), np.asarray(values**2 / len(vectors))
