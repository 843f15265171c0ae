"""RTMW (arXiv:2407.08634): a path aggregation neck and a head that reads two of its scales.

Names and numbers are those of MMPose 1.3.2's `necks/cspnext_pafpn.py` and
`heads/coord_cls_heads/rtmw_head.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.backbones.conv_modules import ConvModule
from posebench.backbones.cspnext import CSPLayer, CSPNeXt
from posebench.errors import SpecError
from posebench.gau import GatedAttentionUnit, ScaleNorm
from posebench.grids import SIZE_LOCKED, Bins, Grid
from posebench.output_layers import in_float32
from posebench.spec import HeadSpec, NeckSpec

SHUFFLE = 2


class CSPNeXtPAFPN(nn.Module):
    """Features of strides 8, 16 and 32, mixed down and up again; the last two come out."""

    def __init__(self, spec: NeckSpec, channels: tuple[int, ...]) -> None:
        super().__init__()
        small, middle, large = channels

        def layer(in_channels: int, out_channels: int) -> CSPLayer:
            return CSPLayer(in_channels, out_channels, spec.blocks, identity=False, attention=False)

        self.reduce_layers = nn.ModuleList([_conv(large, middle, 1), _conv(middle, small, 1)])
        self.top_down_blocks = nn.ModuleList([layer(2 * middle, middle), layer(2 * small, small)])
        self.downsamples = nn.ModuleList(
            [_conv(small, small, 3, stride=2), _conv(middle, middle, 3, stride=2)]
        )
        self.bottom_up_blocks = nn.ModuleList([layer(2 * small, middle), layer(2 * middle, large)])

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Map features of strides 8, 16 and 32 to those of strides 16 and 32, channels kept."""
        small, middle, large = features
        reduced_large = self.reduce_layers[0](large)
        doubled = functional.interpolate(reduced_large, scale_factor=2.0, mode="nearest")
        mixed = self.top_down_blocks[0](torch.cat((doubled, middle), dim=1))
        reduced_middle = self.reduce_layers[1](mixed)
        doubled = functional.interpolate(reduced_middle, scale_factor=2.0, mode="nearest")
        finest = self.top_down_blocks[1](torch.cat((doubled, small), dim=1))
        halved = self.downsamples[0](finest)
        finer = self.bottom_up_blocks[0](torch.cat((halved, reduced_middle), dim=1))
        halved = self.downsamples[1](finer)
        return finer, self.bottom_up_blocks[1](torch.cat((halved, reduced_large), dim=1))


def build_neck(spec: NeckSpec, backbone: object) -> CSPNeXtPAFPN:
    """Build the neck behind a CSPNeXt; raise `SpecError` behind anything else."""
    if not isinstance(backbone, CSPNeXt) or len(backbone.pyramid_channels) != 3:
        raise SpecError("The neck `cspnext-pafpn` belongs behind a whole CSPNeXt.")
    return CSPNeXtPAFPN(spec, backbone.pyramid_channels)


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


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> ConvModule:
    return ConvModule(in_channels, out_channels, kernel, stride, activation=nn.SiLU)


def _projection(cells: int, channels: int) -> nn.Sequential:
    return nn.Sequential(ScaleNorm(cells), nn.Linear(cells, channels, bias=False))
