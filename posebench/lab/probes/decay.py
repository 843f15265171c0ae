"""C7: how a network's response falls with the distance from its peak, beside the training Gaussian.

A map's response is scaled so that its peak is 1 and its median 0, because SimCC's loss leaves the
offset of the bins free. Distances are in σ of the training targets: in the plane for heatmaps,
along each axis for SimCC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.datasets.keypoints import keypoints_to_score
from posebench.errors import EvaluationError, SpecError, UnsupportedProbeError
from posebench.lab.probes.people import People
from posebench.lab.probes.subject import Look, Subject, check_even_bins
from posebench.networks.backbones import EXPORTED
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.spec import ModelSpec
from posebench.results.probes import Arm, ProbeReading, ReadingRow, Sums
from posebench.suites.probes import ProbeSettings

Floats = NDArray[np.float64]
STEP, REACH = 0.5, 8.0
"""The width of a profile's bins, and how far it goes, in σ."""
_BINS = round(REACH / STEP)
_QUANTILES = (0.1, 0.5, 0.9)
_PREDICTED, _LABELLED = "predicted peak", "label"


@dataclass(frozen=True, eq=False)
class _Labels:
    """Where labels lie, by axis, and which keypoints of which people are read.

    `places` (N, K, axes) are in cells or bins, or None if the network predicts other keypoints than
    are labelled; `read` is (N, K).
    """

    places: Floats | None
    read: NDArray[np.bool_]


def decay(subject: Subject, _settings: ProbeSettings) -> ProbeReading:
    """Return profiles of the response around the predicted peak and around the label."""
    people, spec = subject.people, subject.spec
    if not isinstance(spec.codec, HeatmapCodec | SimccCodec):
        raise UnsupportedProbeError("Its outputs are neither maps nor bins, so nothing has a peak.")
    check_even_bins(spec.codec)
    labels = _labels(spec, people)
    collected: dict[tuple[Arm, str, str], list[Floats]] = {}
    for arm, look in subject.arms():
        for part in people.batches():
            _collect(collected, arm, _outputs(look, people, part, spec), labels, part, spec)
    if labels.places is not None:
        for part, targets in _targets(spec, people, labels, subject.trained):
            _collect(collected, "target", targets, labels, part, spec)
    rows = [
        _row(key, np.concatenate(profiles, axis=1), labels.read, people)
        for key, profiles in collected.items()
        if key[0] != "target" or key[2] == _LABELLED
    ]
    if not rows:
        raise UnsupportedProbeError("There is no map with a peak.")
    arrays = {f"profile/{place}": _quantiles(found) for place, (_, found) in enumerate(rows)}
    notes = [*subject.notes()]
    if labels.places is None:
        notes.append("it predicts other keypoints than are labelled: no profile is around labels")
    elif not any(row.arm == "target" for row, _ in rows):
        notes.append("its codec makes no training targets to hold its maps against")
    if spec.backbone.family in EXPORTED:
        notes.append(f"an exported graph does not tell σ: {spec.codec.sigma} is assumed")
    return ProbeReading(tuple(row for row, _ in rows), arrays, tuple(notes), "images")


def radial_profile(responses: Floats, distances: Floats) -> Floats:
    """Return mean distance and mean response (2, M, bins) of M maps in rings around their peaks.

    `responses` and `distances` (M, P) are of P cells; the peak itself, at distance 0, is left out.
    A ring without cells is NaN.
    """
    bins = np.floor(distances / STEP).astype(np.int64)
    counted = (bins < _BINS) & (distances > 0) & np.isfinite(responses)
    flat = (np.arange(len(bins))[:, None] * _BINS + bins)[counted]
    size = len(bins) * _BINS
    counts = np.bincount(flat, minlength=size)
    sums = [np.bincount(flat, values[counted], size) for values in (distances, responses)]
    means = np.where(counts > 0, np.stack(sums) / np.maximum(counts, 1), np.nan)
    return np.asarray(means.reshape(2, -1, _BINS))


def scaled_responses(maps: Floats) -> Floats:
    """Return maps (M, P) with their peak at 1 and their median at 0; a flat map is NaN."""
    peak, median = maps.max(axis=1, keepdims=True), np.median(maps, axis=1, keepdims=True)
    height = np.where(peak > median, peak - median, np.nan)
    return np.asarray((maps - median) / height)


def half_width(profiles: Floats) -> Floats:
    """Return the distance (M,) at which each profile (2, M, bins) first falls to 0.5, in σ.

    Between rings a profile is a line; it begins at 1 in the peak. One that stays above has the
    width `REACH`.
    """
    distances, responses = profiles
    found = np.full(len(responses), REACH)
    place, height = np.zeros(len(responses)), np.ones(len(responses))
    for at, values in zip(distances.T, responses.T, strict=True):
        known = np.isfinite(values)
        crossing = known & (values <= 0.5) & (height > 0.5) & (found == REACH)
        share = (height[crossing] - 0.5) / (height[crossing] - values[crossing])
        found[crossing] = place[crossing] + share * (at - place)[crossing]
        place[known], height[known] = at[known], values[known]
    return found


def _labels(spec: ModelSpec, people: People) -> _Labels:
    try:
        order = keypoints_to_score(spec.keypoints, people.keypoint_set)
    except SpecError:
        return _Labels(None, np.ones((len(people), len(spec.keypoints)), bool))
    columns = np.arange(len(spec.keypoints)) if order is None else np.array(order)
    read = np.zeros((len(people), len(spec.keypoints)), bool)
    places = np.zeros((*read.shape, 2))
    read[:, columns], places[:, columns] = people.labelled, people.keypoints
    return _Labels(places, read)


def _outputs(look: Look, people: People, part: slice, spec: ModelSpec) -> tuple[Floats, ...]:
    with torch.no_grad():
        outputs: Sequence[Tensor] = look.answer(people.crops[part])
    channels = spec.codec.channels
    return tuple(each.double().numpy()[:, ::channels] for each in outputs)


def _targets(
    spec: ModelSpec, people: People, labels: _Labels, look: Look
) -> Iterator[tuple[slice, tuple[Floats, ...]]]:
    """Yield the training targets of people, shaped as outputs, if the codec has any."""
    assert labels.places is not None
    shapes = [each.shape for each in _outputs(look, people, slice(0, 1), spec)]
    for part in people.batches():
        try:
            *targets, _ = spec.codec.encode(
                labels.places[part], labels.read[part], spec.input_size, shapes
            )
        except EvaluationError:
            return
        yield part, tuple(np.asarray(each, dtype=np.float64) for each in targets)


def _collect(
    collected: dict[tuple[Arm, str, str], list[Floats]],
    arm: Arm,
    outputs: tuple[Floats, ...],
    labels: _Labels,
    part: slice,
    spec: ModelSpec,
) -> None:
    """Add the profiles of some people's maps, by arm, axis and what they are around."""
    read = labels.read[part]
    for axis, (maps, sigma, to_cells) in _axes(spec, outputs).items():
        chosen = maps[read]
        responses = scaled_responses(chosen.reshape(len(chosen), -1))
        shape = chosen.shape[1:]
        best = np.stack(np.unravel_index(responses.argmax(axis=1), shape), axis=-1)
        centers = {_PREDICTED: best.astype(np.float64)}
        if labels.places is not None:
            centers[_LABELLED] = to_cells(labels.places[part][read], shape)
        cells = np.indices(shape).reshape(len(shape), -1)
        for around, center in centers.items():
            offsets = cells[None] - center[:, :, None]
            distances = np.sqrt((offsets**2).sum(axis=1)) / sigma
            profiles = radial_profile(responses, distances)
            collected.setdefault((arm, axis, around), []).append(profiles)


ToCells = Callable[[Floats, tuple[int, ...]], Floats]


def _axes(
    spec: ModelSpec, outputs: tuple[Floats, ...]
) -> Mapping[str, tuple[Floats, float, ToCells]]:
    """Return the maps, σ and places of labels by axis; places (M, axes) count rows first."""
    codec, size = spec.codec, spec.input_size
    if isinstance(codec, SimccCodec):
        ratio = codec.split_ratio
        return {
            name: (maps, codec.sigma[n], lambda places, _shape, n=n: places[:, n : n + 1] * ratio)  # type: ignore[misc]
            for n, (name, maps) in enumerate(zip(("x", "y"), outputs, strict=True))
        }
    assert isinstance(codec, HeatmapCodec)
    last = 1 if codec.decoder in ("udp", "udp-regress") else 0
    sides = np.array([size.height, size.width])
    return {
        "plane": (
            outputs[0],
            codec.sigma,
            lambda places, shape: places[:, ::-1] / sides * (np.array(shape) - last),
        )
    }


def _row(
    key: tuple[Arm, str, str], profiles: Floats, read: NDArray[np.bool_], people: People
) -> tuple[ReadingRow, Floats]:
    """Return the numbers of M profiles as sums over images, and the profiles."""
    arm, axis, around = key
    image = np.repeat(people.image[:, None], read.shape[1], axis=1)[read]
    middles = (np.arange(_BINS) + 0.5) * STEP
    near = _mean(profiles[1][:, middles < 1])
    far = _mean(profiles[1][:, middles > 3])
    values = {
        "response within 1σ": near,
        "response beyond 3σ": far,
        "fall": near - far,
        "half width": np.where(np.isfinite(near), half_width(profiles), np.nan),
    }
    sums = {name: Sums.of(value, image, people.images) for name, value in values.items()}
    return ReadingRow(arm, {"axis": axis, "around": around}, sums), profiles


def _mean(values: Floats) -> Floats:
    """Return the mean (M,) of the bins that have cells, NaN if none has."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=1)
    counts = known.sum(axis=1)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _quantiles(profiles: Floats) -> Floats:
    """Return mean distance, mean and quantiles (5, bins) of profiles, NaN without cells."""
    distances, responses = profiles
    result = np.full((2 + len(_QUANTILES), _BINS), np.nan)
    for place in range(_BINS):
        known = np.isfinite(responses[:, place])
        if known.any():
            own = responses[known, place]
            result[:2, place] = distances[known, place].mean(), own.mean()
            result[2:, place] = np.quantile(own, _QUANTILES)
    return result
