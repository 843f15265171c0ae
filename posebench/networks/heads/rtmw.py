"""RTMW (arXiv:2407.08634): a path aggregation neck and a head that reads two of its scales.

Names and numbers are those of MMPose 1.3.2's `necks/cspnext_pafpn.py` and
`heads/coord_cls_heads/rtmw_head.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.backbones.conv_modules import ConvModule
from posebench.networks.grids import SIZE_LOCKED, Bins, Grid
from posebench.networks.heads.gau import GatedAttentionUnit, ScaleNorm
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.spec import HeadSpec

SHUFFLE = 2


class RTMWHead(nn.Module):
    """Maps of two scales, both halves of a vector per keypoint, attention, two linear layers."""

    size_locked = SIZE_LOCKED["rtmw"]
    map_scales = (1, SHUFFLE)

    def __init__(
        self, spec: HeadSpec, in_channels: int, keypoints: int, grid: Grid, bins: Bins
    ) -> None:
        super().__init__()
        if spec.deconv_channels:
            raise SpecError("Head: the kind `rtmw` has no deconv_channels.")
        assert spec.gau is not None
        hidden, kernel, quarter = spec.gau.hidden_dims, spec.final_layer_kernel, in_channels // 4
        self.ps = nn.PixelShuffle(SHUFFLE)
        self.conv_dec = ConvModule(quarter, quarter, kernel)
        self.final_layer = ConvModule(in_channels, keypoints, kernel)
        self.final_layer2 = ConvModule(in_channels // 2 + quarter, keypoints, kernel)
        self.mlp = _projection(grid.cells, hidden // 2)
        self.mlp2 = _projection(grid.cells * SHUFFLE**2, hidden // 2)
        self.gau = GatedAttentionUnit(spec.gau)
        self.cls_x = nn.Linear(hidden, bins.x, bias=False)
        self.cls_y = nn.Linear(hidden, bins.y, bias=False)

    def maps(self, features: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Return maps (N, K, h, w) and (N, K, 2h, 2w) of features of strides 16 and 32."""
        fine, coarse = features
        decoded = self.conv_dec(self.ps(coarse))
        return self.final_layer(coarse), self.final_layer2(torch.cat((decoded, fine), dim=1))

    def vectors(self, coarse: Tensor, fine: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)` of maps of the trained grids."""
        halves = self.mlp(coarse.flatten(2)), self.mlp2(fine.flatten(2))
        hidden = self.gau(torch.cat(halves, dim=2))
        return in_float32(self.cls_x, hidden), in_float32(self.cls_y, hidden)

    def forward(self, features: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)`."""
        return self.vectors(*self.maps(features))


def _projection(cells: int, channels: int) -> nn.Sequential:
    return nn.Sequential(ScaleNorm(cells), nn.Linear(cells, channels, bias=False))
