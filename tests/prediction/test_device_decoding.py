from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from posebench.errors import EvaluationError
from posebench.networks.codecs import HeatmapCodec, SimccCodec, decode_by
from posebench.networks.codecs.heatmap import HEATMAP_REFINEMENTS
from posebench.networks.codecs.maps import ArrayMaps
from posebench.networks.codecs.simcc import SIMCC_REFINEMENTS
from posebench.networks.sizes import InputSize
from posebench.prediction.device_decoding import TensorMaps, decode_on_device

SIZE = InputSize(256, 192)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.gpu,
    ),
]
# OpenCV's own blurs differ between processors with and without fused multiplication.
HAS_AVX2 = not {"AVX2", "*AVX2"}.isdisjoint(cv2.getCPUFeaturesLine().split())
needs_avx2 = pytest.mark.skipif(not HAS_AVX2, reason="OpenCV blurs otherwise without AVX2")


def noise(rng, shape):
    return rng.normal(0, 0.1, shape)


def negative(rng, shape):
    maps = noise(rng, shape)
    maps[::2] = -np.abs(maps[::2])
    return maps


def ties(rng, shape):
    return rng.integers(-1, 4, shape).astype(np.float64)


def zeros(rng, shape):
    return np.zeros(shape)


def peaks(rng, shape, margin=-2):
    """Draw Gaussians of standard deviation 2, some of them outside the map."""
    *counts, height, width = shape
    x = rng.uniform(margin, width - 1 - margin, (*counts, 1, 1))
    y = rng.uniform(margin, height - 1 - margin, (*counts, 1, 1))
    high = rng.uniform(0.1, 1.2, (*counts, 1, 1))
    square = (np.arange(width) - x) ** 2 + (np.arange(height)[:, None] - y) ** 2
    return high * np.exp(-square / 8) + rng.normal(0, 0.005, shape)


def at_the_borders(rng, shape):
    maps = noise(rng, shape)
    for k, (y, x) in enumerate([(0, 0), (-1, -1), (1, 1), (-2, -2), (0, 3), (2, -1)]):
        maps[:, k % shape[1], y, x] = 5
    return maps


KINDS = [noise, negative, ties, zeros, peaks, at_the_borders]


def assert_equal_on(device, decoder, codec, outputs, size=SIZE):
    outputs = tuple(output.astype(np.float32) for output in outputs)
    expected = decode_by(decoder, codec, outputs, size)
    tensors = tuple(torch.from_numpy(output).to(device) for output in outputs)
    found = decode_on_device(decoder, codec, tensors, size)
    for one, other in ((found.keypoints, expected.keypoints), (found.scores, expected.scores)):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@needs_avx2
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("refinement", HEATMAP_REFINEMENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_heatmaps_decode_as_in_numpy(kind, refinement, device):
    rng = np.random.default_rng(0)
    for codec in (
        HeatmapCodec(decoder="quarter", blur_kernel=11),
        HeatmapCodec(decoder="udp", rules="hrnet", blur_kernel=17),
        HeatmapCodec(decoder="udp", blur_kernel=3),
    ):
        for height, width in ((64, 48), (13, 9)):
            outputs = (kind(rng, (3, 6, height, width)),)
            assert_equal_on(device, refinement, codec, outputs)


@needs_avx2
@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    refinement=st.sampled_from(HEATMAP_REFINEMENTS),
    kernel=st.sampled_from([3, 5, 7, 9, 11, 17]),
    counts=st.tuples(st.integers(1, 3), st.integers(1, 7)),
    sides=st.tuples(st.integers(4, 40), st.integers(4, 40)),
    seed=st.integers(0, 1000),
)
def test_maps_of_any_shape_decode_as_in_numpy(kind, refinement, kernel, counts, sides, seed):
    outputs = (kind(np.random.default_rng(seed), (*counts, *sides)),)
    codec = HeatmapCodec(decoder=refinement if refinement == "udp" else "dark", blur_kernel=kernel)
    assert_equal_on("cpu", refinement, codec, outputs)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("refinement", ["dark", "udp"])
def test_peaks_move_by_less_than_the_stated_bound_on_any_processor(refinement, device):
    maps = peaks(np.random.default_rng(1), (30, 17, 64, 48), margin=3).astype(np.float32)
    codec = HeatmapCodec(decoder=refinement)
    expected = decode_by(refinement, codec, (maps,), SIZE)
    found = decode_on_device(refinement, codec, (torch.from_numpy(maps).to(device),), SIZE)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, rtol=0, atol=1e-4)


@needs_avx2
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kernel", [3, 11])
@pytest.mark.parametrize("kind", KINDS)
def test_offset_maps_decode_as_in_numpy(kind, kernel, device):
    codec = HeatmapCodec(decoder="udp-regress", blur_kernel=kernel)
    for height, width in ((64, 48), (5, 7)):  # the second is less than half of a kernel of 23
        maps = kind(np.random.default_rng(2), (2, 12, height, width))
        assert_equal_on(device, "udp-regress", codec, (maps,))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("softmax", ["none", "each"])
@pytest.mark.parametrize("refinement", SIMCC_REFINEMENTS)
@pytest.mark.parametrize("level", [0, -30])
def test_bins_decode_as_in_numpy(level, refinement, softmax, device):
    rng = np.random.default_rng(3)
    logits = [np.rint(rng.normal(0, 3, (4, 5, bins))) + level for bins in (384, 512)]
    for vectors in logits:
        vectors[0, 0, 0] = vectors[0, 1, -1] = 40
    if softmax != "none":
        logits = [torch.from_numpy(vectors * 5).softmax(-1).numpy() for vectors in logits]
    for score in ("min", "max"):
        codec = SimccCodec(softmax=softmax, score=score)
        assert_equal_on(device, refinement, codec, tuple(logits))


@pytest.mark.parametrize("device", DEVICES)
def test_of_equal_maxima_the_first_wins(device):
    maps = torch.zeros((2, 3, 64, 48), device=device)
    maps[:, :, 10:60, 5:40] = 1
    found = decode_on_device("argmax", HeatmapCodec(), (maps,), SIZE)
    np.testing.assert_array_equal(found.keypoints, np.full((2, 3, 2), (20, 40)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("decoder", [*HEATMAP_REFINEMENTS, "udp-regress"])
def test_nan_is_an_error(decoder, device):
    maps = torch.rand((2, 3, 64, 48), device=device)
    maps[1, 0, 3, 4] = torch.nan
    codec = HeatmapCodec(decoder="quarter" if decoder == "expectation" else decoder)
    with pytest.raises(EvaluationError, match="NaN"):
        decode_on_device(decoder, codec, (maps,), SIZE)


def test_what_cannot_be_decoded_is_the_same_error():
    decode = partial(decode_on_device, codec=SimccCodec(), size=SIZE)
    vectors = (torch.zeros((1, 2, 384)), torch.zeros((1, 2, 512)))
    with pytest.raises(EvaluationError, match="have no dark decoder"):
        decode("dark", outputs=vectors)
    with pytest.raises(EvaluationError, match="do not fit an input"):
        decode("argmax", outputs=vectors[::-1])


@pytest.mark.parametrize("decoder", [*HEATMAP_REFINEMENTS, "udp-regress"])
def test_no_instances_are_none(decoder):
    codec = HeatmapCodec(decoder="quarter" if decoder == "expectation" else decoder)
    decoded = decode_on_device(decoder, codec, (torch.zeros((0, 3, 64, 48)),), SIZE)
    assert decoded.keypoints.shape == (0, 1 if decoder == "udp-regress" else 3, 2)


def test_half_precision_and_channels_last_are_read_as_float32():
    maps = torch.rand((2, 3, 64, 48)).half().to(memory_format=torch.channels_last)
    before = maps.clone()
    found = decode_on_device("dark", HeatmapCodec(), (maps,), SIZE)
    expected = decode_by("dark", HeatmapCodec(), (maps.float().numpy(),), SIZE)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, rtol=0, atol=1e-4)
    assert torch.equal(maps, before)


@needs_avx2
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kernel", [3, 5, 7, 11, 17, 23])
def test_blurs_are_opencvs_bit_for_bit(kernel, device):
    maps = noise(np.random.default_rng(4), (2, 6, 33, 47)).astype(np.float32)
    tensors, arrays = TensorMaps(torch.from_numpy(maps).to(device)), ArrayMaps(maps)
    found, expected = tensors.smoothed(kernel), arrays.smoothed(kernel)
    np.testing.assert_array_equal(found.tensor.cpu().numpy(), expected.array)
    if kernel > 5:  # what UDP-regress asks for
        mirrored, reference = tensors.blurred(kernel, 3), arrays.blurred(kernel, 3)
        np.testing.assert_array_equal(mirrored.tensor.cpu().numpy(), reference.array)


def test_no_operation_of_a_blur_mixes_devices():
    # Torch's device without data refuses operands of the CPU, as a GPU does.
    maps = TensorMaps(torch.empty((2, 6, 33, 47), device="meta"))
    assert (maps.smoothed(11).tensor.device.type, maps.smoothed(5).shape) == ("meta", maps.shape)
    assert maps.blurred(11, 3).shape == (2, 2, 33, 47)
