"""Drawings lie where decoding says: a peak's cell or bin is drawn on the decoded keypoint."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from small_store import result

from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.sizes import InputSize
from posebench.prediction.geometry import boxes_to_center_scale, input_to_image
from posebench.reporting.page.people.pictures import (
    CropView,
    crop_view,
    draw_heatmap,
    draw_profiles,
)

SIZE = InputSize(64, 48)
BOX = np.array([20.0, 30.0, 90.0, 180.0], dtype=np.float32)


def view() -> CropView:
    image = np.zeros((240, 200, 3), dtype=np.uint8)
    return crop_view(image, BOX, replace(result(), size=SIZE))


def in_image(keypoints: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return where decoded keypoints (N, K, 2) in input pixels lie in the image."""
    center, scale = boxes_to_center_scale(BOX[None], SIZE, 1.25)
    return input_to_image(keypoints.astype(np.float64), center, scale, SIZE)


@pytest.mark.parametrize("decoder", ["argmax", "udp"])
def test_a_cell_is_drawn_where_it_decodes(decoder: str) -> None:
    # UDP refines by the shape of a peak; a Gaussian in the map's middle stays on its cell.
    rows, columns = np.mgrid[:16, :12]
    heatmap = np.exp(-((rows - 9) ** 2 + (columns - 6) ** 2) / 2).astype(np.float32)
    codec = HeatmapCodec(decoder=decoder)  # type: ignore[arg-type]
    keypoints = codec.decode((heatmap[None, None],), SIZE).keypoints
    drawn = view().place(in_image(keypoints)[0, 0])
    drawing = draw_heatmap(view(), "name", heatmap, decoder == "udp", {})
    layer = re.findall(r"<image [^>]*>", drawing)[1]
    left, top, width, height = (
        float(re.search(rf' {name}="([-\d.]+)"', layer).group(1))
        for name in ("x", "y", "width", "height")
    )
    cell = np.array([left + (6 + 0.5) * width / 12, top + (9 + 0.5) * height / 16])
    np.testing.assert_allclose(cell, drawn, atol=0.1)


def test_bins_peak_where_they_decode() -> None:
    x, y = np.zeros(96, dtype=np.float32), np.zeros(128, dtype=np.float32)
    x[30], y[100] = 2.0, 3.0
    keypoints = SimccCodec().decode((x[None, None], y[None, None]), SIZE).keypoints
    drawn = view().place(in_image(keypoints)[0, 0])
    drawing = draw_profiles(view(), "name", (x, y), {})
    across, down = (
        np.array([pair.split(",") for pair in points.split()], dtype=float)
        for points in re.findall(r'<polygon points="([^"]*)"', drawing)
    )
    assert across[across[:, 1].argmin(), 0] == pytest.approx(drawn[0], abs=0.06)
    assert down[down[:, 0].argmin(), 1] == pytest.approx(drawn[1], abs=0.06)


def test_the_crop_is_that_of_the_padded_box() -> None:
    # Corners of the padded box, which is 1.25 times as high and 48/64 as wide, are the drawing's.
    middle, height = np.array([55.0, 105.0]), 150 * 1.25
    half = np.array([height * 48 / 64, height]) / 2
    shown = view()
    np.testing.assert_allclose(shown.place(middle - half), [0, 0], atol=1e-4)
    np.testing.assert_allclose(shown.place(middle + half), [shown.width, shown.height], rtol=1e-6)
    assert shown.width / shown.height == pytest.approx(48 / 64)
    assert shown.image.startswith("data:image/webp;base64,")
