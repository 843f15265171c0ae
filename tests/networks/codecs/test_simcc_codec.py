from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, strategies as st

from posebench.errors import EvaluationError
from posebench.networks.codecs import SimccCodec
from posebench.networks.sizes import InputSize

SIZE = InputSize(96, 72)
ALL_VISIBLE = np.ones((1, 1), dtype=bool)


def random_outputs(seed: int):
    rng = np.random.default_rng(seed)
    outputs = [rng.normal(-2.5, 1, (4, 6, bins)).astype(np.float32) for bins in (144, 192)]
    for output in outputs:
        output[0] = np.round(output[0], 1)
    return tuple(outputs)


@pytest.mark.parametrize("seed", range(3))
def test_decoding_equals_a_naive_loop(seed):
    simcc_x, simcc_y = random_outputs(seed)
    decoded = SimccCodec().decode((simcc_x, simcc_y), SIZE)
    negative = 0
    for n, k in np.ndindex(4, 6):
        values_x, values_y = simcc_x[n, k].tolist(), simcc_y[n, k].tolist()
        score = min(max(values_x), max(values_y))
        best = [values_x.index(max(values_x)), values_y.index(max(values_y))]
        if score <= 0:
            best, negative = [-1, -1], negative + 1
        assert decoded.keypoints[n, k].tolist() == [best[0] / 2, best[1] / 2]
        assert decoded.scores[n, k] == np.float32(score)
    assert 0 < negative < 24
    assert decoded.keypoints.dtype == decoded.scores.dtype == np.float32


def test_the_score_of_probabilities_is_the_higher_or_the_lower_maximum():
    outputs = random_outputs(0)
    logits = [output.astype(np.float64) for output in outputs]
    weights = [np.exp(axis) for axis in logits]
    probabilities = tuple(
        (axis / axis.sum(axis=-1, keepdims=True)).astype(np.float32) for axis in weights
    )
    peaks = [axis.max(axis=-1) for axis in probabilities]
    best = [axis.argmax(axis=-1) / 2 for axis in probabilities]
    choices: dict[Literal["min", "max"], Any] = {"min": np.minimum, "max": np.maximum}
    for score, choose in choices.items():
        codec = SimccCodec(softmax="each", score=score)
        decoded = codec.decode(probabilities, SIZE)
        assert (decoded.scores == choose(*peaks)).all()
        assert (decoded.keypoints == np.stack(best, axis=-1)).all()


def test_expectations_of_probabilities_are_those_of_their_logits():
    # Best bins in the middle; elsewhere far lower values, down to those that a softmax turns into
    # 0.
    bins = [np.arange(count, dtype=np.float32) for count in (144, 192)]
    logits = [-((axis - 50.3) ** 2)[None, None] / 40 for axis in bins]
    total = [np.exp(axis).sum(axis=-1, keepdims=True) for axis in logits]
    probabilities = tuple(np.exp(axis) / one for axis, one in zip(logits, total, strict=True))
    assert min(axis.min() for axis in probabilities) == 0
    raw = SimccCodec().decode(tuple(axis + 1 for axis in logits), SIZE, "expectation")
    soft = SimccCodec(softmax="mean").decode(probabilities, SIZE, "expectation")
    np.testing.assert_allclose(soft.keypoints, raw.keypoints, atol=1e-4)
    np.testing.assert_allclose(soft.keypoints[0, 0], 50.3 / 2, atol=0.01)


def test_bins_of_another_size_are_an_error():
    with pytest.raises(EvaluationError, match=r"144 x 192 bins do not fit an input of 128x96"):
        SimccCodec().decode(random_outputs(0), InputSize(128, 96))


def test_nan_is_an_error_and_no_instances_are_none():
    simcc_x, simcc_y = random_outputs(0)
    simcc_y[2, 1, 100] = np.nan
    with pytest.raises(EvaluationError, match="NaN"):
        SimccCodec().decode((simcc_x, simcc_y), SIZE)
    decoded = SimccCodec().decode((simcc_x[:0], simcc_y[:0]), SIZE)
    assert decoded.keypoints.shape == (0, 6, 2)


def shapes_of(codec: SimccCodec) -> list[tuple[int, ...]]:
    """Return the shapes of a network's outputs for one keypoint."""
    return [(1, 1, count) for count in codec.bins(SIZE)]


@given(st.floats(0, 71.75), st.floats(0, 95.75), st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_encoding_then_decoding_returns_the_nearest_bin(x, y, ratio):
    codec = SimccCodec(split_ratio=ratio)
    *targets, weights = codec.encode(np.array([[[x, y]]]), ALL_VISIBLE, SIZE, shapes_of(codec))
    decoded = codec.decode(tuple(targets), SIZE).keypoints[0, 0]
    # The last half bin of the input has no bin of its own to its right.
    last = (np.array(codec.bins(SIZE)) - 1) / ratio
    np.testing.assert_allclose(decoded, np.minimum([x, y], last), atol=0.5 / ratio + 1e-5)
    assert weights.tolist() == [[1]]


@pytest.mark.parametrize("normalize", [False, True])
def test_targets_equal_a_naive_gaussian(normalize):
    codec = SimccCodec(normalize=normalize)
    targets = codec.encode(np.array([[[10.3, 60.6]]]), ALL_VISIBLE, SIZE, shapes_of(codec))[:2]
    for target, center, sigma in zip(targets, (21, 121), codec.sigma, strict=True):
        scale = 1 / (sigma * np.sqrt(2 * np.pi)) if normalize else 1
        expected = [
            scale * np.exp(-((index - center) ** 2) / (2 * sigma**2))
            for index in range(target.shape[-1])
        ]
        np.testing.assert_allclose(target[0, 0], expected, atol=1e-6)
        assert target.dtype == np.float32


def test_normalized_targets_sum_to_one_inside():
    codec = SimccCodec()
    keypoints = np.array([[[36.0, 48.0]]])
    targets = codec.encode(keypoints, ALL_VISIBLE, SIZE, shapes_of(codec))[:2]
    assert [float(target.sum()) for target in targets] == pytest.approx([1, 1], abs=1e-4)


def test_hidden_and_outside_keypoints_have_no_weight_and_no_target():
    keypoints = np.array([[[30, 40], [30, 40], [-0.1, 40], [72, 40], [30, 96], [0, 0]]])
    visible = np.array([[True, False, True, True, True, True]])
    codec = SimccCodec()
    simcc_x, simcc_y, weights = codec.encode(keypoints, visible, SIZE, shapes_of(codec))
    assert weights.tolist() == [[1, 0, 0, 0, 0, 1]]
    for target in (simcc_x, simcc_y):
        assert (target.max(axis=2) > 0).tolist() == (weights > 0).tolist()
