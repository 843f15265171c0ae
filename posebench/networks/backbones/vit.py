"""Plain Vision Transformer of ViTPose (arXiv:2204.12484), with the parameter names of mmpretrain.

Numbers must match `mmpretrain/models/backbones/vision_transformer.py` 1.2.0 as MMPose configures
it: patches of 16 pixels with padding 2, no class token, the feature map as output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.errors import SpecError, UnsupportedSizeError
from posebench.networks.shapes import Guess, Shapes, count_numbers
from posebench.networks.sizes import MAX_SIDE, InputSize

PATCH = 16
_PATCH_PADDING = 2
POSITION_STD = 0.02
# Width, layers and heads of each published size. Shapes do not reveal the number of heads.
_VARIANTS = {"S": (384, 12, 12), "B": (768, 12, 12), "L": (1024, 24, 16), "H": (1280, 32, 16)}
_PORTRAIT = 4 / 3


@dataclass(frozen=True)
class ViTOptions:
    """Options of the family `vit`.

    `img_size` is the input size that the stored position embedding belongs to; at any other size
    the embedding is resampled. `norm_eps` is the epsilon of every LayerNorm.
    """

    embed_dims: int
    num_layers: int
    num_heads: int
    feedforward_channels: int
    img_size: InputSize
    qkv_bias: bool = True
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        if min(self.embed_dims, self.num_layers, self.num_heads, self.feedforward_channels) < 1:
            raise SpecError("A ViT's dimensions, layers and heads must be 1 or more.")
        if self.embed_dims % self.num_heads:
            raise SpecError(f"ViT: {self.embed_dims} channels in {self.num_heads} heads.")
        if self.img_size.height % PATCH or self.img_size.width % PATCH:
            raise SpecError(
                f"ViT: img_size {self.img_size}: both sides must be multiples of {PATCH}."
            )
        if not 0 <= self.norm_eps < 1:
            raise SpecError(f"ViT: norm_eps {self.norm_eps} is not an epsilon.")


class PatchEmbed(nn.Module):
    """One vector per patch of 16x16 pixels; the padding moves the patches by 2 pixels."""

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, embed_dims, PATCH, PATCH, _PATCH_PADDING)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, C, H/16, W/16)."""
        result: Tensor = self.projection(x)
        return result


class MultiheadAttention(nn.Module):
    """Scaled dot-product self-attention, queries, keys and values from one linear layer."""

    def __init__(self, options: ViTOptions) -> None:
        super().__init__()
        channels = options.embed_dims
        self.num_heads = options.num_heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=options.qkv_bias)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, patches, C) to the same shape."""
        count, patches, channels = x.shape
        heads = self.qkv(x).reshape(count, patches, 3, self.num_heads, channels // self.num_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.proj(attended.transpose(1, 2).reshape(count, patches, channels))
        return result


class FFN(nn.Module):
    """Two linear layers with GELU between them, numbered as in mmcv."""

    def __init__(self, options: ViTOptions) -> None:
        super().__init__()
        channels, hidden = options.embed_dims, options.feedforward_channels
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(channels, hidden), nn.GELU()), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, patches, C) to the same shape."""
        result: Tensor = self.layers(x)
        return result


class TransformerEncoderLayer(nn.Module):
    """Attention and FFN, each behind its own LayerNorm and added to its input."""

    def __init__(self, options: ViTOptions) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(options.embed_dims, eps=options.norm_eps)
        self.attn = MultiheadAttention(options)
        self.ln2 = nn.LayerNorm(options.embed_dims, eps=options.norm_eps)
        self.ffn = FFN(options)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, patches, C) to the same shape."""
        x = x + self.attn(self.ln1(x))
        result: Tensor = x + self.ffn(self.ln2(x))
        return result


class ViT(nn.Module):
    """Patches, their positions, the layers and a last LayerNorm."""

    stride = PATCH

    def __init__(self, options: ViTOptions) -> None:
        super().__init__()
        self.out_channels = options.embed_dims
        self.patch_embed = PatchEmbed(options.embed_dims)
        self._rows = options.img_size.height // PATCH
        self._columns = options.img_size.width // PATCH
        positions = torch.randn(1, self._rows * self._columns, options.embed_dims)
        self.pos_embed = nn.Parameter(positions * POSITION_STD)
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(options) for _ in range(options.num_layers)
        )
        self.ln1 = nn.LayerNorm(options.embed_dims, eps=options.norm_eps)

    def initialise(self, generator: torch.Generator) -> None:
        """Set the position embedding, as upstream does."""
        positions = torch.randn(self.pos_embed.shape, generator=generator)
        self.pos_embed.copy_(positions * POSITION_STD)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, out_channels, H/16, W/16).

        Raises `UnsupportedSizeError` if a side is not a multiple of 16.
        """
        if x.shape[2] % PATCH or x.shape[3] % PATCH:
            raise UnsupportedSizeError(
                f"A ViT of patch size {PATCH} cannot run at {x.shape[2]}x{x.shape[3]}.",
                hint=f"Both sides must be multiples of {PATCH}.",
            )
        patches = self.patch_embed(x)
        count, channels, rows, columns = patches.shape
        x = patches.flatten(2).transpose(1, 2) + self._positions(rows, columns)
        for layer in self.layers:
            x = layer(x)
        result: Tensor = self.ln1(x).reshape(count, rows, columns, channels).permute(0, 3, 1, 2)
        return result

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Return the position embedding (1, rows * columns, C), resampled if necessary."""
        if (rows, columns) == (self._rows, self._columns):
            return self.pos_embed
        grid = self.pos_embed.reshape(1, self._rows, self._columns, -1).permute(0, 3, 1, 2)
        # Bicubic resampling of half precision differs between devices.
        resized = functional.interpolate(
            grid.float(), size=(rows, columns), mode="bicubic", align_corners=False
        )
        return resized.flatten(2).transpose(1, 2).to(self.pos_embed.dtype)


def stage_modules(options: ViTOptions) -> tuple[str, ...]:
    """Return the modules that end a quarter of the layers; the last one is the final LayerNorm."""
    ends = (-(-options.num_layers * quarter // 4) for quarter in (1, 2, 3))
    return (*(f"layers.{end - 1}" for end in dict.fromkeys(ends)), "ln1")


def describe(options: ViTOptions) -> str:
    """Return the printed name: that of the published size, or the dimensions if there is none."""
    for letter, (width, layers, _) in _VARIANTS.items():
        if (options.embed_dims, options.num_layers) == (width, layers):
            return f"ViT-{letter}"
    return f"ViT(w={options.embed_dims},layers={options.num_layers})"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a ViT with these tensors, or None.

    `num_heads` is left out if no published size has these dimensions.
    """
    patch = shapes.get("patch_embed.projection.weight", ())
    if patch[1:] != (3, PATCH, PATCH) or "pos_embed" not in shapes:
        return None
    hidden = shapes.get("layers.0.ffn.layers.0.0.weight")
    if hidden is None or "layers.0.attn.qkv.weight" not in shapes:
        return None
    layers = count_numbers(shapes, r"layers\.(\d+)\.attn\.qkv\.weight")
    options: dict[str, Any] = {"embed_dims": patch[0], "num_layers": layers}
    heads = {variant[:2]: variant[2] for variant in _VARIANTS.values()}
    if (patch[0], layers) in heads:
        options["num_heads"] = heads[patch[0], layers]
    options["feedforward_channels"] = hidden[0]
    options["img_size"] = str(size_of_positions(shapes["pos_embed"][1]))
    if "layers.0.attn.qkv.bias" not in shapes:
        options["qkv_bias"] = False
    return options


def guess(shapes: Shapes) -> Guess:
    """Return the trained size that the position embedding suggests."""
    count = shapes["pos_embed"][1]
    size = size_of_positions(count)
    why = f"assumed: of the grids of {count} patches of 16x16 pixels the nearest to 4:3"
    return Guess({"img_size": str(size)}, size, why)


def size_of_positions(count: int) -> InputSize:
    """Return the input size that this many positions most likely stand for.

    Of all grids with this many patches it is the one whose shape is nearest to 4:3, height over
    width: crops of persons have that shape, and 192 positions alone could also be 12x16. Raises
    `ValueError` if no input size has this many.
    """
    sides = range(1, MAX_SIDE // PATCH + 1)
    grids = [
        (rows, count // rows) for rows in sides if count % rows == 0 and count // rows in sides
    ]
    if not grids:
        raise ValueError(f"{count} positions form no grid of patches")
    rows, columns = min(grids, key=lambda grid: abs(math.log(grid[0] / grid[1] / _PORTRAIT)))
    return InputSize(rows * PATCH, columns * PATCH)
