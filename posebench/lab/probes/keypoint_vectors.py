"""C9: how alike the vectors of keypoints are, above all those of left and right partners.

Two kinds of vectors are read: those that a network learned (the rows of the convolution that makes
each keypoint's map), and the mean tokens that it computes where a keypoint is labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.datasets.keypoints import KeypointSet
from posebench.errors import UnsupportedProbeError
from posebench.lab.probes.people import People
from posebench.lab.probes.position_code import cosines
from posebench.lab.probes.sampling import tokens_at
from posebench.lab.probes.subject import Look, Subject
from posebench.networks.features import TOKENS
from posebench.results.probes import Arm, ProbeReading, ReadingRow, Sums
from posebench.suites.probes import ProbeSettings

Floats = NDArray[np.float64]
_PERMUTATIONS = 9999
_HANDS = ("left_wrist", "right_wrist")
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")


def keypoint_vectors(subject: Subject, settings: ProbeSettings) -> ProbeReading:
    """Return how alike learned vectors and mean tokens of keypoints are, with a control."""
    rows: list[ReadingRow] = []
    arrays: dict[str, NDArray[Any]] = {}
    notes = list(subject.notes())
    own, labelled = subject.spec.keypoints, subject.people.keypoint_set

    def add(arm: Arm, of: str, vectors: Floats, keypoints: KeypointSet) -> None:
        cosine = cosines(vectors)
        arrays[f"cosine/{arm}/{of}"] = cosine
        rng = np.random.default_rng([settings.seed, 1])
        sums, numbers = pair_numbers(cosine, keypoints, rng)
        rows.append(ReadingRow(arm, {"of": of}, sums, numbers))

    for arm, look in subject.arms():
        learned = look.learned().of_keypoints(len(own))
        if learned is not None:
            add(arm, "vectors", learned.double().numpy(), own)
        tokens = mean_tokens(look, subject.people, subject)
        if tokens is not None:
            add(arm, "tokens", tokens, labelled)
    if not rows:
        raise UnsupportedProbeError("The layer of keypoint vectors cannot be found in this graph.")
    if not own.flip_pairs:
        notes.append(f"the keypoints of {own.name} have no left/right partners")
    if unseen := _unseen(subject.people):
        notes.append(f"nobody who was read has {', '.join(unseen)}: left out of tokens")
    arrays["names/vectors"], arrays["names/tokens"] = _names(own), _names(labelled)
    return ProbeReading(tuple(rows), arrays, tuple(notes), "keypoints")


def pair_numbers(
    cosine: Floats, keypoints: KeypointSet, rng: np.random.Generator
) -> tuple[dict[str, Sums], dict[str, float | None]]:
    """Return the numbers of a matrix of cosines (K, K) over left/right pairs, and the others.

    Keypoints whose cosines are NaN are left out, and so are their partners' pairs.
    """
    pairs = np.array(keypoints.flip_pairs, dtype=np.int64).reshape(-1, 2)
    known = np.isfinite(np.diagonal(cosine))
    pairs = pairs[known[pairs].all(axis=1)]
    numbers: dict[str, float | None] = {"hands minus hand and face": _hands(cosine, keypoints)}
    if not len(pairs) or known.sum() < 3:
        return {}, numbers
    partner, other, rank = (_of_pairs(values, pairs) for values in _by_keypoint(cosine, pairs))
    excess = partner - other
    places = np.cumsum(known) - 1
    numbers["permutation p"] = permutation_p(cosine[np.ix_(known, known)], places[pairs], rng)
    both = np.full(len(pairs), 2.0)
    values = {
        "partner cosine": partner,
        "other cosine": other,
        "partner excess": excess,
        "partner rank": rank,
    }
    return {name: Sums(value, both) for name, value in values.items()}, numbers


def permutation_p(
    cosine: Floats, pairs: NDArray[np.int64], rng: np.random.Generator
) -> float | None:
    """Return the two-sided p-value of the mean partner excess if partners were drawn by lot."""
    count = len(cosine)
    off = (cosine.sum() - np.trace(cosine)) / (count * (count - 1))
    observed = abs(cosine[pairs[:, 0], pairs[:, 1]].mean() - off)
    orders = rng.permuted(np.tile(np.arange(count), (_PERMUTATIONS, 1)), axis=1)
    drawn = cosine[orders[:, pairs[:, 0]], orders[:, pairs[:, 1]]].mean(axis=1)
    # Rounding must not make a permutation that changes nothing a rarer one.
    as_far = np.count_nonzero(np.abs(drawn - off) >= observed - 1e-12)
    return float((as_far + 1) / (_PERMUTATIONS + 1))


def _by_keypoint(cosine: Floats, pairs: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Return for each keypoint its cosine with its partner, the mean of the others, and the rank.

    Keypoints without a partner have NaN. Those as alike as the partner count half in its rank, as
    if their order were drawn by lot.
    """
    count = len(cosine)
    partner, other, rank = (np.full(count, np.nan) for _ in range(3))
    for one, two in (*pairs, *pairs[:, ::-1]):
        rest = np.delete(cosine[one], [one, two])
        partner[one], other[one] = cosine[one, two], np.nanmean(rest)
        above, equal = (np.count_nonzero(f(rest, partner[one])) for f in (np.greater, np.equal))
        rank[one] = 1 + above + equal / 2
    return partner, other, rank


def _of_pairs(values: Floats, pairs: NDArray[np.int64]) -> Floats:
    """Return the sum of both partners (pairs,)."""
    return np.asarray(values[pairs].sum(axis=1))


def mean_tokens(look: Look, people: People, subject: Subject) -> Floats | None:
    """Return the mean token (K, C) at each keypoint, less the mean of all tokens; None without.

    A keypoint that nobody has labelled has NaN.
    """
    count = len(people.keypoint_set)
    labelled = torch.from_numpy(people.labelled)
    places = torch.from_numpy(people.keypoints)
    totals, means = list[Tensor](), list[Tensor]()
    with torch.no_grad():
        for part in people.batches():
            maps = look.features(people.crops[part]).maps.get(TOKENS)
            if maps is None:
                return None
            found = tokens_at(maps, places[part], subject.spec.input_size).double()
            totals.append((found * labelled[part, :, None]).sum(dim=0))
            means.append(maps.double().mean(dim=(2, 3)))
    seen = labelled.sum(dim=0).reshape(count, 1)
    mean = sum(totals) / seen.clamp(min=1) - torch.cat(means).mean(dim=0)
    return np.asarray(torch.where(seen > 0, mean, torch.nan).numpy())


def _unseen(people: People) -> list[str]:
    """Return the keypoints that none of the people has labelled."""
    names = people.keypoint_set.keypoints
    return [names[place] for place in np.flatnonzero(~people.labelled.any(axis=0))]


def _hands(cosine: Floats, keypoints: KeypointSet) -> float | None:
    names = keypoints.keypoints
    hands, face = _places(names, _HANDS), _places(names, _FACE)
    if len(hands) < 2:
        return None
    face = [place for place in face if np.isfinite(cosine[place, place])]
    if not face or not np.isfinite(cosine[hands[0], hands[1]]):
        return None
    return float(cosine[hands[0], hands[1]] - cosine[np.ix_(hands, face)].mean())


def _places(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    return [names.index(name) for name in wanted if name in names]


def _names(keypoints: KeypointSet) -> NDArray[np.str_]:
    return np.array(keypoints.keypoints)
