"""Expectation decoding against sums written out cell by cell; decoders by name on any codec."""

from __future__ import annotations

import numpy as np
import pytest

from posebench.errors import EvaluationError
from posebench.networks.codecs import (
    HeatmapCodec,
    SimccCodec,
    check_decoder,
    chosen_decoders,
    decode_by,
    own_decoder,
)
from posebench.networks.codecs.expectation import (
    bin_expectation_offsets,
    heatmap_expectation_offsets,
)
from posebench.networks.codecs.heatmap import HEATMAP_REFINEMENTS
from posebench.networks.codecs.maps import ArrayMaps
from posebench.networks.sizes import InputSize

SIZE = InputSize(96, 72)
HEIGHT, WIDTH = 24, 18


def naive_heatmap(heatmap, x, y, radius):
    height, width = heatmap.shape
    rx, ry = min(radius, x, width - 1 - x), min(radius, y, height - 1 - y)
    total = sum_x = sum_y = 0.0
    for row in range(y - ry, y + ry + 1):
        for column in range(x - rx, x + rx + 1):
            weight = max(float(heatmap[row, column]), 0.0)
            total += weight
            sum_x += weight * (column - x)
            sum_y += weight * (row - y)
    return sum_x / total, sum_y / total


def test_heatmaps_cell_by_cell():
    rng = np.random.default_rng(0)
    heatmaps = rng.normal(0.1, 0.3, (4, 5, HEIGHT, WIDTH)).astype(np.float32)
    heatmaps[0, 0, 0, 0] = heatmaps[0, 1, -1, -1] = heatmaps[0, 2, 1, 9] = 5  # at the borders
    flat = heatmaps.reshape(4, 5, -1).argmax(-1)
    cells = np.stack([flat % WIDTH, flat // WIDTH], axis=-1)
    found = heatmap_expectation_offsets(ArrayMaps(heatmaps), cells, 5)
    for n, k in np.ndindex(4, 5):
        x, y = cells[n, k]
        expected = naive_heatmap(heatmaps[n, k], x, y, 5)
        np.testing.assert_allclose(found[n, k], expected, atol=1e-5)
    np.testing.assert_array_equal(found[0, :2], 0)  # no room on one side


def test_bins_one_by_one():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (3, 4, 40)).astype(np.float32)
    logits[0, 0, 0], logits[0, 1, -1], logits[0, 2, 3] = 20, 20, 4000  # 4000: exp overflows
    best = logits.argmax(-1)
    found = bin_expectation_offsets(ArrayMaps(logits), best, 7, probabilities=False)
    for n, k in np.ndindex(3, 4):
        middle = int(best[n, k])
        reach = min(7, middle, 39 - middle)
        window = logits[n, k, middle - reach : middle + reach + 1].astype(np.float64)
        weights = np.exp(window - window.max())
        expected = (weights * np.arange(-reach, reach + 1)).sum() / weights.sum()
        assert found[n, k] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("own", ["quarter", "dark", "udp"])
def test_a_gaussian_is_found_within_the_stated_bias(own):
    codec = HeatmapCodec(decoder=own)
    rng = np.random.default_rng(2)
    keypoints = rng.uniform((28, 28), (44, 68), (50, 1, 2))
    cells = keypoints / (72, 96) * (np.array([WIDTH, HEIGHT]) - (own == "udp"))
    x, y = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    maps = np.exp(
        -((x - cells[..., 0, None, None]) ** 2 + (y - cells[..., 1, None, None]) ** 2) / 8
    )
    decoded = decode_by("expectation", codec, (maps.astype(np.float32),), SIZE)
    assert np.abs(decoded.keypoints - keypoints).max() < 0.05 * 0.5 * 4.3  # 4.3 pixels a cell
    best = decode_by("argmax", codec, (maps.astype(np.float32),), SIZE)
    assert np.abs(best.keypoints - keypoints).max() > 1.5


def test_a_trained_softmax_is_found_within_the_stated_bias():
    codec = SimccCodec()
    keypoints = np.random.default_rng(3).uniform((20, 20), (50, 70), (50, 1, 2))
    outputs = tuple(
        (100 - ((np.arange(bins) - keypoints[..., axis, None] * 2) / codec.sigma[axis]) ** 2 / 2)
        for axis, bins in enumerate(codec.bins(SIZE))
    )
    decoded = decode_by("expectation", codec, outputs, SIZE)
    assert np.abs(decoded.keypoints - keypoints).max() < 0.03 * 0.25
    assert np.abs(decode_by("argmax", codec, outputs, SIZE).keypoints - keypoints).max() > 0.2


@pytest.mark.parametrize("own", ["argmax", "quarter", "dark", "udp"])
def test_own_is_the_codecs_own_decoding(own):
    maps = np.random.default_rng(4).normal(0.2, 1, (2, 3, HEIGHT, WIDTH)).astype(np.float32)
    codec = HeatmapCodec(decoder=own)
    alone, named = codec.decode((maps,), SIZE), decode_by(own, codec, (maps,), SIZE)
    np.testing.assert_array_equal(alone.keypoints, named.keypoints)
    assert alone.keypoints.dtype == named.keypoints.dtype


@pytest.mark.parametrize("decoder", HEATMAP_REFINEMENTS)
def test_the_codec_places_cells_under_every_decoder(decoder):
    """Every decoder finds a symmetric peak on its cell; only the mapping to pixels can differ."""
    x, y = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    peak = np.exp(-((x - 9.0) ** 2 + (y - 12.0) ** 2) / 8).astype(np.float32)[None, None]
    classic = decode_by(decoder, HeatmapCodec(decoder="quarter"), (peak,), SIZE).keypoints[0, 0]
    udp = decode_by(decoder, HeatmapCodec(decoder="udp"), (peak,), SIZE).keypoints[0, 0]
    np.testing.assert_allclose(classic, (9 / 18 * 72, 12 / 24 * 96), atol=1e-3)
    np.testing.assert_allclose(udp, (9 / 17 * 72, 12 / 23 * 96), atol=1e-3)


def test_every_decoder_keeps_the_peaks_score_and_a_missing_peak():
    maps = np.random.default_rng(5).normal(0, 1, (2, 3, HEIGHT, WIDTH)).astype(np.float32)
    maps[0, 0] = -1
    codec = HeatmapCodec()
    by = {name: decode_by(name, codec, (maps,), SIZE) for name in HEATMAP_REFINEMENTS}
    for decoded in by.values():
        np.testing.assert_array_equal(decoded.scores, maps.max((2, 3)))
    np.testing.assert_array_equal(by["expectation"].keypoints[0, 0], (-4, -4))
    bins = SimccCodec().bins(SIZE)
    negative = tuple(np.full((1, 1, count), -0.5, np.float32) for count in bins)
    for name in ("argmax", "expectation"):
        decoded = decode_by(name, SimccCodec(), negative, SIZE)
        np.testing.assert_array_equal(decoded.keypoints, -0.5)


def test_choices():
    assert own_decoder(SimccCodec()) == "argmax"
    assert chosen_decoders(HeatmapCodec(decoder="dark"), ("own", "udp", "dark")) == ("dark", "udp")
    assert chosen_decoders(SimccCodec(), ("own", "argmax")) == ("argmax",)
    for decoder in ("quarter", "dark", "udp"):
        with pytest.raises(EvaluationError, match=f"no {decoder} decoder"):
            check_decoder(SimccCodec(), decoder)
        check_decoder(HeatmapCodec(), decoder)
