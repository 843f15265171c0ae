"""UDP-regress decoding against a keypoint-by-keypoint reading of the reference's description."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from posebench.errors import EvaluationError
from posebench.networks.codecs import HeatmapCodec, check_decoder, decode_by, own_decoder
from posebench.networks.sizes import InputSize

CODEC = HeatmapCodec(decoder="udp-regress")
SIZE = InputSize(96, 64)
HEIGHT, WIDTH = 24, 16


def test_exact_targets_decode_to_the_keypoint() -> None:
    # Targets of MMPose's `generate_offset_heatmap`: a disc of ones, offsets over the radius.
    keypoint = np.array([7.3, 11.8])
    radius = 0.0546875 * HEIGHT
    x, y = np.arange(WIDTH)[None], np.arange(HEIGHT)[:, None]
    offset_x, offset_y = np.broadcast_arrays(keypoint[0] - x, keypoint[1] - y)
    maps = np.stack([offset_x**2 + offset_y**2 <= radius**2, offset_x / radius, offset_y / radius])
    decoded = CODEC.decode((maps[None].astype(np.float32),), SIZE)
    expected = keypoint / [WIDTH - 1, HEIGHT - 1] * [64, 96]
    np.testing.assert_allclose(decoded.keypoints[0, 0], expected, atol=1e-4)


def test_noise_decodes_as_one_keypoint_at_a_time() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 5 * 3, HEIGHT, WIDTH)).astype(np.float32)
    maps[1, 6] = -1  # the third keypoint of the second person is nowhere
    decoded = CODEC.decode((maps,), SIZE)
    for n, k in np.ndindex(3, 5):
        label, offset_x, offset_y = maps[n, 3 * k : 3 * k + 3]
        blurred = cv2.GaussianBlur(label, (23, 23), 0)
        assert decoded.scores[n, k] == blurred.max()
        if blurred.max() <= 0:
            # (−1, −1), and the offset at that flat index: W + 1 cells before the map's first.
            y, x = -1, -1
            flat = k * HEIGHT * WIDTH - WIDTH - 1
            moved = [maps[n, axis::3].ravel()[flat] for axis in (1, 2)]
        else:
            y, x = np.unravel_index(blurred.argmax(), blurred.shape)
            moved = [offset_x[y, x], offset_y[y, x]]
        cell = np.array([x, y]) + 0.0546875 * HEIGHT * np.array(moved)
        np.testing.assert_allclose(
            decoded.keypoints[n, k], cell / [WIDTH - 1, HEIGHT - 1] * [64, 96], atol=1e-4
        )
    assert decoded.scores[1, 2] < 0


def test_offsets_have_one_decoder_and_no_targets() -> None:
    assert own_decoder(CODEC) == "udp-regress"
    maps = np.ones((1, 3, HEIGHT, WIDTH), dtype=np.float32)
    assert decode_by("udp-regress", CODEC, (maps,), SIZE).keypoints.shape == (1, 1, 2)
    with pytest.raises(EvaluationError, match="UDP-regress outputs have no udp decoder"):
        check_decoder(CODEC, "udp")
    with pytest.raises(EvaluationError, match="Heatmaps have no udp-regress decoder"):
        check_decoder(HeatmapCodec(), "udp-regress")
    with pytest.raises(EvaluationError, match="no training targets"):
        CODEC.encode(np.zeros((1, 1, 2)), np.ones((1, 1)), SIZE, [(1, 3, HEIGHT, WIDTH)])
