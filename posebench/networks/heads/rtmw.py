"""RTMW (arXiv:2407.08634): a path aggregation neck and a head that reads two of its scales.

Names and numbers are those of MMPose 1.3.2's `necks/cspnext_pafpn.py` and
`heads/coord_cls_heads/rtmw_head.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from posebench.networks.backbones.conv_modules import ConvModule
from posebench.networks.codecs import SimccCodec
from posebench.networks.grids import Bins, Grid, SizeLockedLayer, bins_at, grid_at
from posebench.networks.heads.family import AnswerLayers, HeadFamily, Surroundings
from posebench.networks.heads.gau import GatedAttentionUnit, GauOptions, ScaleNorm, recognise_gau
from posebench.networks.heads.layers import check_counts
from posebench.networks.heads.losses import divergence_of_bins
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec

SHUFFLE = 2


@dataclass(frozen=True)
class RTMWOptions:
    """Options of the kind `rtmw`."""

    gau: GauOptions
    final_layer_kernel: int = 1

    def __post_init__(self) -> None:
        check_counts([self.final_layer_kernel])


class RTMWHead(nn.Module):
    """Maps at two scales, each giving half of a keypoint's vector; attention; two linear layers."""

    def __init__(
        self, options: RTMWOptions, in_channels: int, keypoints: int, grid: Grid, bins: Bins
    ) -> None:
        super().__init__()
        hidden, kernel = options.gau.hidden_dims, options.final_layer_kernel
        quarter = in_channels // 4
        self.ps = nn.PixelShuffle(SHUFFLE)
        self.conv_dec = ConvModule(quarter, quarter, kernel)
        self.final_layer = ConvModule(in_channels, keypoints, kernel)
        self.final_layer2 = ConvModule(in_channels // 2 + quarter, keypoints, kernel)
        self.mlp = _projection(grid.cells, hidden // 2)
        self.mlp2 = _projection(grid.cells * SHUFFLE**2, hidden // 2)
        self.gau = GatedAttentionUnit(options.gau)
        self.cls_x = nn.Linear(hidden, bins.x, bias=False)
        self.cls_y = nn.Linear(hidden, bins.y, bias=False)

    def maps(self, features: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Map features of strides 16 and 32 to maps (N, K, h, w) and (N, K, 2h, 2w)."""
        fine, coarse = features
        decoded = self.conv_dec(self.ps(coarse))
        return self.final_layer(coarse), self.final_layer2(torch.cat((decoded, fine), dim=1))

    def vectors(self, coarse: Tensor, fine: Tensor) -> tuple[Tensor, ...]:
        """Turn maps of the trained grids into `(simcc_x, simcc_y)`."""
        halves = self.mlp(coarse.flatten(2)), self.mlp2(fine.flatten(2))
        hidden = self.gau(torch.cat(halves, dim=2))
        return in_float32(self.cls_x, hidden), in_float32(self.cls_y, hidden)

    def forward(self, features: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)`."""
        return self.vectors(*self.maps(features))


def _projection(cells: int, channels: int) -> nn.Sequential:
    return nn.Sequential(ScaleNorm(cells), nn.Linear(cells, channels, bias=False))


def build(options: RTMWOptions, around: Surroundings) -> RTMWHead:
    """Build the head with the coarser grid and the bins of an input size."""
    assert isinstance(around.codec, SimccCodec)
    grid = grid_at(around.size, around.stride)
    bins = bins_at(around.codec, around.size)
    return RTMWHead(options, around.in_channels, around.keypoints, grid, bins)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return the options of a head with attention behind maps of two scales, or None."""
    gau = recognise_gau(shapes)
    if gau is None or not {"cls_x.weight", "mlp.1.weight", "mlp2.1.weight"} <= set(shapes):
        return None
    return {"final_layer_kernel": shapes["final_layer.conv.weight"][-1], "gau": gau}


RTMW = HeadFamily(
    options=RTMWOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: shapes["final_layer.conv.weight"][0],
    codec=SimccCodec,
    loss=divergence_of_bins,
    size_locked=(
        SizeLockedLayer("mlp.1", cells=1, bins=None),
        SizeLockedLayer("mlp2.1", cells=SHUFFLE, bins=None),
        SizeLockedLayer("cls_x", cells=0, bins="x"),
        SizeLockedLayer("cls_y", cells=0, bins="y"),
    ),
    neck="cspnext-pafpn",
    # Of its two scales the finer one, behind the decoder.
    answer_layers=lambda head: AnswerLayers(
        head.final_layer2.conv, {"simcc_x": head.cls_x, "simcc_y": head.cls_y}
    ),
)
