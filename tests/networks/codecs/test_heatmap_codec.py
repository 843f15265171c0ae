from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st

from posebench.errors import EvaluationError, SpecError
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.codecs.heatmap import HeatmapDecoder
from posebench.networks.codecs.maps import ArrayMaps
from posebench.networks.sizes import InputSize

SIZE = InputSize(96, 72)
CELLS = (24, 18)
DECODERS: tuple[HeatmapDecoder, ...] = ("argmax", "quarter", "dark", "udp")
ALL_VISIBLE = np.ones((1, 1), dtype=bool)


def noisy_heatmaps(seed: int, count: int = 3, keypoints: int = 5):
    """Return maps with spots anywhere, borders included, with noise, ties and all-negative maps."""
    rng = np.random.default_rng(seed)
    height, width = CELLS
    maps = rng.normal(-0.3, 0.05, (count, keypoints, height, width))
    for n, k in np.ndindex(count, keypoints):
        x, y = rng.uniform(-1, width), rng.uniform(-1, height)
        square = (np.arange(width) - x) ** 2 + (np.arange(height)[:, None] - y) ** 2
        maps[n, k] += 1.3 * np.exp(-square / 8)
    maps[0] = np.round(maps[0], 1)
    maps[:, 0] -= 4
    return maps.astype(np.float32)


def blurred(heatmap, kernel):
    padded = np.pad(heatmap, kernel // 2)
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    offsets = np.arange(kernel) - kernel // 2
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    weights /= weights.sum()
    rows = np.apply_along_axis(lambda line: np.convolve(line, weights, "valid"), 1, padded)
    smooth = np.apply_along_axis(lambda line: np.convolve(line, weights, "valid"), 0, rows)
    return smooth * heatmap.max() / smooth.max()


def naive_best_cell(heatmap):
    best, score = (0, 0), -np.inf
    for y, x in np.ndindex(*heatmap.shape):
        if heatmap[y, x] > score:
            best, score = (x, y), heatmap[y, x]
    return (best if score > 0 else (-1, -1)), score


def naive_quarter(heatmap, x, y):
    height, width = heatmap.shape
    dx = dy = 0.0
    if 1 < x < width - 1 and 0 < y < height:
        dx = 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
    if 1 < y < height - 1 and 0 < x < width:
        dy = 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
    return x + dx, y + dy


def naive_dark(heatmap, x, y):
    height, width = heatmap.shape
    if not (1 < x < width - 2 and 1 < y < height - 2):
        return x, y
    log = np.log(np.maximum(blurred(heatmap, 11), 1e-10))
    grad = np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]) / 2
    xx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
    yy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
    xy = (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]) / 4
    return tuple([x, y] - np.linalg.solve([[xx, xy], [xy, yy]], grad))


def naive_udp(heatmap, x, y):
    log = np.pad(np.log(np.clip(blurred(heatmap, 11), 1e-3, 50)), 1, mode="edge")
    x, y = x + 1, y + 1
    grad = np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]) / 2
    xx = log[y, x + 1] - 2 * log[y, x] + log[y, x - 1]
    yy = log[y + 1, x] - 2 * log[y, x] + log[y - 1, x]
    xy = log[y + 1, x + 1] - log[y, x + 1] - log[y + 1, x] + 2 * log[y, x]
    xy = (xy - log[y, x - 1] - log[y - 1, x] + log[y - 1, x - 1]) / 2
    hessian = np.array([[xx, xy], [xy, yy]]) + np.finfo(np.float32).eps * np.eye(2)
    return tuple([x - 1, y - 1] - np.linalg.solve(hessian, grad))


NAIVE = {
    "argmax": lambda _heatmap, x, y: (x, y),
    "quarter": naive_quarter,
    "dark": naive_dark,
    "udp": naive_udp,
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("seed", range(3))
def test_decoding_equals_a_naive_loop(decoder, seed):
    heatmaps = noisy_heatmaps(seed)
    decoded = HeatmapCodec(decoder=decoder).decode((heatmaps,), SIZE)
    factor = 4.0 if decoder != "udp" else np.array([72 / 17, 96 / 23])
    for n, k in np.ndindex(heatmaps.shape[:2]):
        (x, y), score = naive_best_cell(heatmaps[n, k])
        assert decoded.scores[n, k] == score
        if decoder == "udp" and x < 0:
            continue  # it reads neighbouring memory there: see the test below
        expected = np.array(NAIVE[decoder](heatmaps[n, k].astype(np.float64), x, y)) * factor
        np.testing.assert_allclose(decoded.keypoints[n, k], expected, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("decoder", ["argmax", "quarter", "dark"])
def test_a_map_that_is_nowhere_positive_decodes_to_minus_one_cell(decoder):
    heatmaps = np.full((1, 2, *CELLS), -0.5, dtype=np.float32)
    heatmaps[0, 1] = 0
    decoded = HeatmapCodec(decoder=decoder).decode((heatmaps,), SIZE)
    assert decoded.keypoints.tolist() == [[[-4, -4], [-4, -4]]]
    assert decoded.scores.tolist() == [[-0.5, 0]]


def test_the_hrnet_repository_answers_the_first_cell_where_nothing_is_positive():
    heatmaps = np.full((1, 2, *CELLS), -0.5, dtype=np.float32)
    heatmaps[0, 1] = 0
    decoded = HeatmapCodec(rules="hrnet").decode((heatmaps,), SIZE)
    assert decoded.keypoints.tolist() == [[[0, 0], [0, 0]]]
    assert decoded.scores.tolist() == [[-0.5, 0]]


@pytest.mark.parametrize("seed", range(3))
def test_the_hrnet_repository_refines_inside_the_border_or_not_at_all(seed):
    heatmaps = noisy_heatmaps(seed, count=12)
    ours = HeatmapCodec(rules="hrnet").decode((heatmaps,), SIZE)
    height, width = CELLS
    held = 0
    for n, k in np.ndindex(heatmaps.shape[:2]):
        heatmap = heatmaps[n, k]
        (x, y), score = naive_best_cell(heatmap)
        if score <= 0:
            x, y = 0, 0
        elif 1 < x < width - 1 and 1 < y < height - 1:
            slopes = (
                heatmap[y, x + 1] - heatmap[y, x - 1],
                heatmap[y + 1, x] - heatmap[y - 1, x],
            )
            x, y = (x, y) + 0.25 * np.sign(slopes)
        else:
            held += naive_quarter(heatmap, x, y) != (x, y)
        assert ours.keypoints[n, k].tolist() == [4 * x, 4 * y]
        assert ours.scores[n, k] == score
    assert held  # MMPose would refine one of the axes here


def test_udp_decodes_all_negative_maps_to_finite_keypoints_left_of_the_crop():
    heatmaps = np.full((2, 3, *CELLS), -0.5, dtype=np.float32)
    decoded = HeatmapCodec(decoder="udp").decode((heatmaps,), SIZE)
    np.testing.assert_allclose(decoded.keypoints, np.broadcast_to([-72 / 17, -96 / 23], (2, 3, 2)))


def test_the_first_of_equal_cells_wins_and_the_quarter_offset_leaves_the_first_columns_alone():
    heatmaps = np.zeros((1, 1, *CELLS), dtype=np.float32)
    heatmaps[0, 0, 5, [1, 9]] = 1
    heatmaps[0, 0, 5, 2] = 0.5
    heatmaps[0, 0, 6, 1] = 0.5
    decoded = HeatmapCodec().decode((heatmaps,), SIZE)
    assert decoded.keypoints.tolist() == [[[4.0, 21.0]]]


def test_dark_leaves_two_border_cells_alone():
    heatmaps = np.zeros((1, 2, *CELLS), dtype=np.float32)
    heatmaps[0, 0, 10, 1], heatmaps[0, 0, 10, 2] = 1, 0.5
    heatmaps[0, 1, 10, 15], heatmaps[0, 1, 11, 15] = 1, 0.5
    decoded = HeatmapCodec(decoder="dark").decode((heatmaps,), SIZE)
    assert decoded.keypoints[0, 0].tolist() == [4, 40]
    assert decoded.keypoints[0, 1, 1] > 40


def test_scores_are_taken_before_smoothing_and_inputs_stay_unchanged():
    heatmaps = noisy_heatmaps(7)
    before = heatmaps.copy()
    for decoder in DECODERS:
        decoded = HeatmapCodec(decoder=decoder).decode((heatmaps,), SIZE)
        np.testing.assert_array_equal(decoded.scores, before.max(axis=(2, 3)))
    np.testing.assert_array_equal(heatmaps, before)


def test_blurring_all_maps_at_once_equals_blurring_each():
    heatmaps = np.abs(noisy_heatmaps(3))
    together = ArrayMaps(heatmaps).smoothed(17).array
    for n, k in np.ndindex(heatmaps.shape[:2]):
        alone = cv2.GaussianBlur(np.pad(heatmaps[n, k], 8), (17, 17), 0)[8:-8, 8:-8]
        alone *= heatmaps[n, k].max() / alone.max()
        np.testing.assert_array_equal(together[n, k], alone)


@pytest.mark.parametrize("decoder", DECODERS)
def test_nan_is_an_error_and_no_instances_are_none(decoder):
    codec = HeatmapCodec(decoder=decoder)
    heatmaps = noisy_heatmaps(0)
    heatmaps[1, 2, 3, 4] = np.nan
    with pytest.raises(EvaluationError, match="NaN"):
        codec.decode((heatmaps,), SIZE)
    decoded = codec.decode((np.empty((0, 17, *CELLS), dtype=np.float32),), SIZE)
    assert decoded.keypoints.shape == (0, 17, 2)
    assert decoded.scores.shape == (0, 17)


def test_dtypes_are_the_references():
    heatmaps = noisy_heatmaps(0)
    found = {d: HeatmapCodec(decoder=d).decode((heatmaps,), SIZE).keypoints.dtype for d in DECODERS}
    assert found == {"argmax": "f4", "quarter": "f4", "dark": "f4", "udp": "f8"}


def test_udp_needs_two_cells_and_kernels_are_odd():
    with pytest.raises(EvaluationError, match="1x18"):
        HeatmapCodec(decoder="udp").decode((np.ones((1, 1, 1, 18), dtype=np.float32),), SIZE)
    for kernel in (1, 10):
        with pytest.raises(SpecError, match="odd"):
            HeatmapCodec(blur_kernel=kernel)


@given(st.floats(24, 48), st.floats(32, 64))
def test_encoding_then_decoding_returns_the_keypoint(x, y):
    tolerance = {"argmax": 2.001, "quarter": 2.001, "dark": 0.05, "udp": 0.05}
    for decoder in DECODERS:
        codec = HeatmapCodec(decoder=decoder, sigma=1.5, blur_kernel=7)
        targets, _ = codec.encode(np.array([[[x, y]]]), ALL_VISIBLE, SIZE, [(1, 1, *CELLS)])
        decoded = codec.decode((targets,), SIZE).keypoints[0, 0]
        np.testing.assert_allclose(decoded, [x, y], atol=tolerance[decoder])


@pytest.mark.parametrize("decoder", DECODERS)
def test_targets_equal_a_naive_gaussian(decoder):
    codec = HeatmapCodec(decoder=decoder, sigma=2.0)
    x, y = 50.3, 2.9
    targets, weights = codec.encode(np.array([[[x, y]]]), ALL_VISIBLE, SIZE, [(1, 1, *CELLS)])
    exact = np.array([x * 17 / 72, y * 23 / 96]) if decoder == "udp" else np.array([x, y]) / 4
    nearest = np.floor(exact + 0.5)
    center = exact if decoder in ("dark", "udp") else nearest
    for row, column in np.ndindex(*CELLS):
        value = np.exp(-((column - center[0]) ** 2 + (row - center[1]) ** 2) / 8)
        if decoder != "dark" and np.abs([column, row] - nearest).max() > 6:
            value = 0
        assert targets[0, 0, row, column] == pytest.approx(value, abs=1e-6)
    assert weights.tolist() == [[1]]
    assert targets.dtype == weights.dtype == np.float32


@pytest.mark.parametrize("decoder", DECODERS)
def test_hidden_and_outside_keypoints_have_no_weight_and_no_target(decoder):
    keypoints = np.array([[[30, 40], [30, 40], [-0.1, 40], [72, 40], [30, 96], [0, 0]]])
    visible = np.array([[True, False, True, True, True, True]])
    codec, shape = HeatmapCodec(decoder=decoder), (1, 6, *CELLS)
    targets, weights = codec.encode(keypoints, visible, SIZE, [shape])
    assert weights.tolist() == [[1, 0, 0, 0, 0, 1]]
    assert (targets.max(axis=(2, 3)) > 0.5).tolist() == (weights > 0).tolist()
    assert targets[0, 1:5].max() == 0
