"""Coordinates: decoding by hand, and back and forth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from posebench.errors import EvaluationError
from posebench.networks.codecs import RegressionCodec, decode_by, own_decoder
from posebench.networks.sizes import InputSize
from posebench.prediction.device_decoding import decode_on_device

CODEC, SIZE = RegressionCodec(), InputSize(256, 192)


def answers(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def test_fractions_become_input_pixels_of_the_size_that_was_run() -> None:
    outputs = np.array([[[0.5, 0.25], [-0.1, 1.1]]], dtype=np.float32)
    decoded = CODEC.decode((outputs,), SIZE)
    assert decoded.keypoints.dtype == np.float64
    expected = np.array([[[96, 64], [-19.2, 281.6]]])
    np.testing.assert_allclose(decoded.keypoints, expected, rtol=1e-6)
    assert decoded.scores.tolist() == [[1, 1]]
    halved = CODEC.decode((outputs,), InputSize(128, 96))
    np.testing.assert_array_equal(halved.keypoints * 2, decoded.keypoints)


def test_the_score_is_1_less_the_mean_deviation() -> None:
    outputs = np.array([[[0.5, 0.5, 0.25, 0.75], [0.5, 0.5, 0.0, 0.0]]], dtype=np.float32)
    decoded = CODEC.decode((outputs,), SIZE)
    assert decoded.scores.tolist() == [[0.5, 1.0]]
    assert decoded.keypoints[0, 0].tolist() == decoded.keypoints[0, 1].tolist()


def test_keypoints_come_back_from_their_targets() -> None:
    keypoints = answers(3, 5, 2) * 90
    visible = np.ones((3, 5))
    visible[0, 1] = 0
    keypoints[1, 2] = [-1, 5]
    targets, weights = CODEC.encode(keypoints, visible, SIZE, [(3, 5, 2)])
    np.testing.assert_allclose(CODEC.decode((targets,), SIZE).keypoints, keypoints, atol=1e-4)
    assert targets.dtype == weights.dtype == np.float32
    assert [tuple(place) for place in np.argwhere(weights == 0)] == [(0, 1), (1, 2)]


@pytest.mark.parametrize("values", [2, 4])
def test_decoding_on_a_device_gives_the_same(values: int) -> None:
    outputs = answers(4, 17, values)
    here = decode_by("direct", CODEC, (outputs,), SIZE)
    there = decode_on_device("direct", CODEC, (torch.from_numpy(outputs),), SIZE)
    np.testing.assert_array_equal(here.keypoints, there.keypoints)
    np.testing.assert_array_equal(here.scores, there.scores)


def test_no_persons_decode_to_no_keypoints() -> None:
    decoded = CODEC.decode((answers(0, 17, 4),), SIZE)
    assert (decoded.keypoints.shape, decoded.scores.shape) == ((0, 17, 2), (0, 17))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(EvaluationError, match="Coordinates have no dark decoder"):
        decode_by("dark", CODEC, (answers(1, 17, 2),), SIZE)
    with pytest.raises(EvaluationError, match="3 values for each keypoint"):
        CODEC.decode((answers(1, 17, 3),), SIZE)
    broken = answers(1, 17, 4)
    broken[0, 3, 1] = np.nan
    with pytest.raises(EvaluationError, match="contain NaN"):
        CODEC.decode((broken,), SIZE)
    assert own_decoder(CODEC) == "direct"
