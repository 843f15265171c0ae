"""HRFormer (Yuan et al., arXiv:2110.09408) with the parameter names of MMPose 1.3.2.

It has HRNet's branches, with attention in windows instead of residual blocks. Numbers:
`mmpose/models/backbones/hrformer.py`; windows at the borders are filled with zeros, unmasked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.errors import SpecError
from posebench.networks.backbones.branches import (
    BranchedNetwork,
    BranchPlan,
    ExchangeModule,
    convolve_separably,
    doubling,
    make_fuse_layers,
)
from posebench.networks.shapes import Shapes, count_numbers

HRFORMER_VARIANTS: dict[str, tuple[int, int]] = {"S": (32, 1), "B": (78, 2)}
"""Channels and attention heads of the branch of highest resolution, by published size."""

_BLOCKS = 2
_MODULES = {2: 1, 3: 4, 4: 2}
_WINDOW = 7
_MLP_RATIO = 4
_NORM_EPS = 1e-6


@dataclass(frozen=True)
class HRFormerOptions:
    """Options of the family `hrformer`, for the first branch; they double in each next one."""

    width: int = 32
    heads: int = 1

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise SpecError(
                f"An HRFormer cannot have {self.width} channels in {self.heads} heads.",
                hint="Published: 32 in 1 (small), 78 in 2 (base).",
            )


class WindowAttention(nn.Module):
    """Self-attention among the cells of a window, with a learned bias for each offset."""

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        span = 2 * _WINDOW - 1
        self.relative_position_bias_table = nn.Parameter(torch.zeros(span * span, heads))
        self.register_buffer("relative_position_index", _offset_index())
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def initialise(self, _generator: torch.Generator) -> None:
        """Set the position biases to 0."""
        self.relative_position_bias_table.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (M, cells, C) to the same shape."""
        count, cells, channels = x.shape
        split = self.qkv(x).reshape(count, cells, 3, self.heads, channels // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        weights = (query * self.scale @ key.transpose(-2, -1) + bias).softmax(dim=-1)
        attended = (weights @ value).transpose(1, 2).reshape(count, cells, channels)
        result: Tensor = self.proj(attended)
        return result


class LocalAttention(nn.Module):
    """`WindowAttention` in windows that tile the map, which is padded by zeros on all sides."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attn = WindowAttention(channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to the same shape."""
        count, height, width, channels = x.shape
        down, right = -height % _WINDOW, -width % _WINDOW
        top, left = down // 2, right // 2
        padded = functional.pad(x, (0, 0, left, right - left, top, down - top))
        rows, columns = (height + down) // _WINDOW, (width + right) // _WINDOW
        tiles = padded.reshape(count, rows, _WINDOW, columns, _WINDOW, channels)
        windows = tiles.permute(0, 1, 3, 2, 4, 5).reshape(-1, _WINDOW * _WINDOW, channels)
        tiles = self.attn(windows).reshape(count, rows, columns, _WINDOW, _WINDOW, channels)
        whole: Tensor = tiles.permute(0, 1, 3, 2, 4, 5).reshape(padded.shape)
        return whole[:, top : top + height, left : left + width]


class CrossFFN(nn.Module):
    """A feed-forward layer with a depthwise 3x3 convolution in it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels * _MLP_RATIO
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.dw3x3 = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.norm3 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        x = functional.gelu(self.norm1(self.fc1(x)))
        x = functional.gelu(self.norm2(self.dw3x3(x)))
        return functional.gelu(self.norm3(self.fc2(x)))


class HRFormerBlock(nn.Module):
    """Attention and feed-forward layer, each behind a LayerNorm and added to its input."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=_NORM_EPS)
        self.attn = LocalAttention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=_NORM_EPS)
        self.ffn = CrossFFN(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        cells = x.permute(0, 2, 3, 1)
        cells = cells + self.attn(self.norm1(cells))
        changed: Tensor = self.ffn(self.norm2(cells).permute(0, 3, 1, 2))
        result: Tensor = cells.permute(0, 3, 1, 2) + changed
        return result


def build(options: HRFormerOptions) -> BranchedNetwork:
    """Build an HRFormer whose features are those of its highest resolution."""
    make_module = partial(_module, heads=options.heads)
    return BranchedNetwork(BranchPlan(options.width, _BLOCKS, _MODULES, make_module))


def _module(channels: tuple[int, ...], outputs: int, heads: int) -> ExchangeModule:
    """Build attention blocks in each branch and the layers that fuse them."""
    branches = (
        nn.Sequential(*(HRFormerBlock(width, count) for _ in range(_BLOCKS)))
        for width, count in zip(channels, doubling(heads, len(channels)), strict=True)
    )
    fuse_layers = make_fuse_layers(channels, outputs, convolve_separably, "bilinear")
    return ExchangeModule(branches, fuse_layers)


def _offset_index() -> Tensor:
    """Return (cells, cells): for each pair of cells of a window, its row in the table of biases."""
    span = 2 * _WINDOW - 1
    row, column = torch.meshgrid(torch.arange(_WINDOW), torch.arange(_WINDOW), indexing="ij")
    place = (row * span + column).flatten()
    return place[:, None] + place.flip(0)[None, :]


def stage_modules(_options: HRFormerOptions) -> tuple[str, ...]:
    """Return the modules that end a stage, each with one more branch."""
    return tuple(f"stage{number}" for number in _MODULES)


def describe(options: HRFormerOptions) -> str:
    """Return the printed name, as in the paper."""
    for letter, published in HRFORMER_VARIANTS.items():
        if (options.width, options.heads) == published:
            return f"HRFormer-{letter}"
    return f"HRFormer(w={options.width},heads={options.heads})"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of an HRFormer with these tensors, or None."""
    first = shapes.get("transition1.0.0.weight")
    table = shapes.get("stage2.0.branches.0.0.attn.attn.relative_position_bias_table")
    if first is None or table is None:
        return None
    modules = {number: count_numbers(shapes, rf"stage{number}\.(\d+)\.") for number in _MODULES}
    return {"width": first[0], "heads": table[1]} if modules == _MODULES else None
