"""Keypoint vectors that are orthogonal, and vectors with a planted partner."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from planted import COLUMNS, ROWS, middles, people_at, spec_of, subject_of

from posebench.datasets.keypoints import COCO
from posebench.errors import UnsupportedProbeError
from posebench.lab.probes.keypoint_vectors import keypoint_vectors, pair_numbers
from posebench.lab.probes.position_code import cosines
from posebench.networks.features import AnswerVectors, LearnedVectors
from posebench.suites.probes import ProbeSettings

PAIRS = np.array(COCO.flip_pairs)
RNG = np.random.default_rng(0)


def numbers(vectors: NDArray[np.float64]) -> dict[str, float | None]:
    sums, others = pair_numbers(cosines(vectors), COCO, np.random.default_rng(1))
    return {**{name: each.value for name, each in sums.items()}, **others}


def with_partners() -> NDArray[np.float64]:
    vectors = np.eye(17)
    vectors[PAIRS[:, 1]] = vectors[PAIRS[:, 0]]
    return vectors


def test_orthogonal_vectors_have_no_partners() -> None:
    found = numbers(np.eye(17))
    # All are equally alike, so that the partner's rank is the middle of 1 and 16.
    assert (found["partner cosine"], found["other cosine"], found["partner rank"]) == (0, 0, 8.5)
    assert found["permutation p"] == 1.0


def test_a_planted_partner_is_found() -> None:
    found = numbers(with_partners())
    assert (found["partner cosine"], found["other cosine"], found["partner rank"]) == (1, 0, 1)
    assert found["partner excess"] == 1
    # Of 17! orders, only those that keep all pairs are as far; none of 9999 drawn is.
    assert found["permutation p"] == pytest.approx(1e-4)
    assert found["hands minus hand and face"] == 1


def test_keypoints_that_nobody_has_labelled_are_left_out() -> None:
    vectors = with_partners()
    unseen = [COCO.keypoints.index(name) for name in ("nose", "left_ear", "right_ankle")]
    vectors[unseen] = np.nan
    sums, others = pair_numbers(cosines(vectors), COCO, np.random.default_rng(1))
    values = {name: each.value for name, each in sums.items()}
    assert (values["partner cosine"], values["other cosine"], values["partner rank"]) == (1, 0, 1)
    assert len(sums["partner cosine"].numerators) == len(PAIRS) - 2
    assert others["permutation p"] == pytest.approx(1e-4)
    assert others["hands minus hand and face"] == 1
    vectors[COCO.keypoints.index("left_wrist")] = np.nan
    assert pair_numbers(cosines(vectors), COCO, RNG)[1]["hands minus hand and face"] is None


def test_tokens_of_keypoints_without_a_label_are_named() -> None:
    people = people_at(middles(RNG, 3))
    people.labelled[:, COCO.keypoints.index("left_ear")] = False
    tokens = RNG.normal(size=(3, 4, ROWS, COLUMNS))
    subject = subject_of(
        spec_of("heatmap"),
        people,
        lambda n: (np.zeros((17, ROWS, COLUMNS)),),
        lambda n: {"tokens": tokens[n]},
        AnswerVectors(LearnedVectors(torch.eye(17))),
    )
    reading = keypoint_vectors(subject, ProbeSettings())
    assert any("left_ear" in note for note in reading.notes)
    assert len(reading.rows[1].sums["partner cosine"].numerators) == len(PAIRS) - 1


def test_partners_that_point_apart_rank_last() -> None:
    vectors = np.eye(17)
    vectors[PAIRS[:, 1]] = -vectors[PAIRS[:, 0]]
    found = numbers(vectors)
    assert (found["partner cosine"], found["partner rank"]) == (-1, 16)
    assert found["permutation p"] == pytest.approx(1e-4)


def test_the_p_value_of_random_vectors_is_uniform() -> None:
    found = [numbers(np.random.default_rng(seed).normal(size=(17, 8))) for seed in range(40)]
    values = [each["permutation p"] or 0 for each in found]
    assert 0.35 < np.mean(values) < 0.65


def test_mean_tokens_are_those_at_the_labels() -> None:
    places = middles(RNG, 5)
    tokens = np.zeros((5, 17, ROWS, COLUMNS))
    partner_of = {b: a for a, b in COCO.flip_pairs}
    for person, points in enumerate(places):
        for keypoint, (x, y) in enumerate(points):
            row, column = round((y - 1.5) / 4), round((x - 1.5) / 4)
            tokens[person, partner_of.get(keypoint, keypoint), row, column] = 100.0
    vectors = AnswerVectors(LearnedVectors(torch.eye(17)))
    subject = subject_of(
        spec_of("heatmap"),
        people_at(places),
        lambda n: (tokens[n],),
        lambda n: {"tokens": tokens[n]},
        vectors,
    )
    learned, read = keypoint_vectors(subject, ProbeSettings()).rows
    assert (learned.where["of"], read.where["of"]) == ("vectors", "tokens")
    assert learned.values()["partner cosine"] == pytest.approx(0)
    assert read.values()["partner cosine"] == pytest.approx(1, abs=1e-3)
    assert read.values()["other cosine"] == pytest.approx(0, abs=0.01)


def test_a_graph_without_that_layer_is_refused() -> None:
    vectors = AnswerVectors(None, {"simcc_x": LearnedVectors(torch.eye(3))})
    empty = (np.zeros((17, 192)), np.zeros((17, 256)))
    subject = subject_of(
        spec_of("simcc"), people_at(middles(RNG, 2)), lambda _: empty, vectors=vectors
    )
    with pytest.raises(UnsupportedProbeError, match="keypoint vectors"):
        keypoint_vectors(subject, ProbeSettings())
