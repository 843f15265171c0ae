"""ViPNAS-ResNet-50 (Xu et al., arXiv:2105.10154) with the parameter names of MMPose 1.3.2.

Numbers: `mmpose/models/backbones/vipnas_resnet.py`, the searched defaults, and mmcv's
`context_block.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from posebench.networks.backbones.residual import make_shortcut
from posebench.networks.shapes import Shapes

_STEM_CHANNELS, _STEM_KERNEL = 48, 7
_GROUPS = 16
_CONTEXT_RATIO, _NARROWEST_CONTEXT = 16, 16


@dataclass(frozen=True)
class ViPNASResNetOptions:
    """The family `vipnas_resnet` is a single network without options."""


@dataclass(frozen=True)
class _Stage:
    """`blocks` of one shape; the first has the stride."""

    channels: int
    blocks: int
    kernel: int
    attention: bool
    stride: int


_STAGES = {
    "layer1": _Stage(80, 4, 3, True, 1),
    "layer2": _Stage(160, 6, 5, False, 2),
    "layer3": _Stage(304, 7, 5, True, 2),
    "layer4": _Stage(608, 3, 5, True, 2),
}


class ContextBlock(nn.Module):
    """Transform the attention-weighted mean over all places and add it to each place (GCNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // _CONTEXT_RATIO, _NARROWEST_CONTEXT)
        self.conv_mask = nn.Conv2d(channels, 1, 1)
        self.channel_add_conv = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.LayerNorm([hidden, 1, 1]),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        mask = self.conv_mask(x).flatten(2).softmax(dim=2)
        # Shaped as in mmcv, because the shape decides the order of the sum: with random weights,
        # the LayerNorm after it turns a difference in the last bits into 2e-4 of the outputs.
        context = x.flatten(2).unsqueeze(1) @ mask.unsqueeze(-1)
        result: Tensor = x + self.channel_add_conv(context.transpose(1, 2))
        return result


class Bottleneck(nn.Module):
    """1x1, grouped and 1x1 convolutions of one width, an optional context block, and a shortcut."""

    def __init__(self, in_channels: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        width = stage.channels
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(
            width, width, stage.kernel, stride, stage.kernel // 2, groups=_GROUPS, bias=False
        )
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.attention = ContextBlock(width) if stage.attention else nn.Identity()
        self.downsample = make_shortcut(in_channels, width, stride) or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, width, H/stride, W/stride), sides rounded up."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.attention(self.bn3(self.conv3(y)))
        result: Tensor = self.relu(y + self.downsample(x))
        return result


class ViPNASResNet(nn.Module):
    """A stem and four stages; stride 32."""

    def __init__(self, _options: ViPNASResNetOptions) -> None:
        super().__init__()
        channels = _STEM_CHANNELS
        self.conv1 = nn.Conv2d(
            3, channels, _STEM_KERNEL, stride=2, padding=_STEM_KERNEL // 2, bias=False
        )
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for name, stage in _STAGES.items():
            blocks = [Bottleneck(channels, stage, stage.stride)]
            blocks += [Bottleneck(stage.channels, stage, 1) for _ in range(stage.blocks - 1)]
            self.add_module(name, nn.Sequential(*blocks))
            channels = stage.channels
        self.out_channels = channels
        self.stride = 32

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, 608, H/32, W/32), sides rounded up."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in _STAGES:
            x = self.get_submodule(name)(x)
        return x


def stage_modules(_options: ViPNASResNetOptions) -> tuple[str, ...]:
    """Return the modules that end a stage."""
    return tuple(_STAGES)


def describe(_options: ViPNASResNetOptions) -> str:
    """Return the printed name, as in the paper."""
    return "ViPNAS-ResNet-50"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return empty options for tensors of this network, None for others."""
    names = ("layer1.0.attention.conv_mask.weight", "layer4.2.attention.conv_mask.weight")
    return {} if all(name in shapes for name in names) else None
