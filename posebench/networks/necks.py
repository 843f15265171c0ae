"""RTMW's path aggregation neck (MMPose 1.3.2's `necks/cspnext_pafpn.py`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.errors import SpecError
from posebench.networks.backbones.conv_modules import ConvModule
from posebench.networks.backbones.cspnext import CSPLayer, CSPNeXt
from posebench.networks.shapes import Shapes, count_numbers
from posebench.networks.spec import NeckSpec


class CSPNeXtPAFPN(nn.Module):
    """Mix features of strides 8, 16 and 32 from coarse to fine and back; return the last two."""

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
    """Build the neck behind a CSPNeXt.

    Raises `SpecError` if the backbone is anything else.
    """
    if not isinstance(backbone, CSPNeXt) or len(backbone.pyramid_channels) != 3:
        raise SpecError("The neck `cspnext-pafpn` belongs behind a whole CSPNeXt.")
    return CSPNeXtPAFPN(spec, backbone.pyramid_channels)


def recognise_neck(shapes: Shapes) -> NeckSpec | None:
    """Return the neck that fits the names of its tensors, given without `neck.`."""
    blocks = count_numbers(shapes, r"top_down_blocks\.0\.blocks\.(\d+)\.")
    return NeckSpec(blocks=blocks) if blocks else None


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> ConvModule:
    return ConvModule(in_channels, out_channels, kernel, stride, activation=nn.SiLU)
