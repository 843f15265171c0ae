"""Grids and bins against the networks' outputs."""

from __future__ import annotations

import pytest
import torch

from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.grids import Bins, Grid, bins_at
from posebench.networks.heads import map_grid
from posebench.networks.model import build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec


@pytest.mark.parametrize("size", [InputSize(96, 64), InputSize(96, 72), InputSize(50, 50)])
@pytest.mark.parametrize("deconvs", [(), (8,), (8, 8)])
def test_the_grid_is_that_of_what_the_network_puts_out(
    size: InputSize, deconvs: tuple[int, ...]
) -> None:
    head = HeadSpec("heatmap", {"deconv_channels": deconvs, "deconv_kernels": (4,) * len(deconvs)})
    spec = ModelSpec(BackboneSpec("resnet", {"depth": 18}), head, HeatmapCodec(), size)
    with torch.device("meta"):
        model = build_model(spec)
        (heatmaps,) = model(torch.empty(1, 3, size.height, size.width))
    grid = map_grid(head, model.stride, size)
    assert heatmaps.shape == (1, 17, grid.height, grid.width)


def test_published_grid_and_bins() -> None:
    size = InputSize(256, 192)
    head = HeadSpec("heatmap", {"deconv_channels": (256,) * 3, "deconv_kernels": (4,) * 3})
    assert map_grid(head, 32, size) == Grid(64, 48)
    assert map_grid(head, 32, InputSize(384, 288)) == Grid(96, 72)
    assert bins_at(SimccCodec(), size) == Bins(x=384, y=512)
    assert bins_at(SimccCodec(split_ratio=1.5), InputSize(65, 49)) == Bins(x=73, y=97)
