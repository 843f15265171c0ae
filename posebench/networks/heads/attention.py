"""A heatmap head whose keypoint vectors attend to the pixels and to one another.

A plain heatmap is the inner product of a pixel's feature and a keypoint's learned vector, which is
the score of an attention. Here the rest of the attention is added before that product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.heads.family import HeadFamily, Surroundings
from posebench.networks.heads.layers import (
    check_counts,
    check_layers,
    conv_layers,
    deconv_factor,
    deconv_layers,
    recognise_layers,
)
from posebench.networks.heads.losses import squared_error
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec

QUERY_STD = 0.02


@dataclass(frozen=True)
class AttentionOptions:
    """Options of the kind `heatmap-attention`: those of `MapLayers`, and `attention_heads`.

    The final layer of `MapLayers` is a product of vectors here, so its kernel is 1. Names and
    shapes do not tell `attention_heads`; a head recognised by them has the default.
    """

    deconv_channels: tuple[int, ...] = ()
    deconv_kernels: tuple[int, ...] = ()
    deconv_groups: tuple[int, ...] = ()
    conv_channels: tuple[int, ...] = ()
    conv_kernels: tuple[int, ...] = ()
    final_layer_kernel: int = 1
    attention_heads: int = 4

    def __post_init__(self) -> None:
        check_layers(self)
        check_counts([self.attention_heads])
        if self.final_layer_kernel != 1:
            raise SpecError("Head: the final_layer_kernel of heatmap-attention is 1.")


class Attention(nn.Module):
    """Attention of several heads, added to what asks: x + out(softmax(q k / sqrt(d)) v).

    The vectors that ask are normalised first; so are the values' sources if they are the same.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Map x (N, K, C) to the same shape, reading `tokens` (N, T, C), or x itself."""
        asking = self.norm(x)
        read = asking if tokens is None else tokens
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(asking), self.key(read), self.value(read))
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        attended: Tensor = x + self.out(mixed)
        return attended


class KeypointQueries(nn.Module):
    """One learned vector and one offset per keypoint."""

    def __init__(self, keypoints: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(keypoints, channels))
        self.bias = nn.Parameter(torch.zeros(keypoints))

    def initialise(self, generator: torch.Generator) -> None:
        """Set the vectors at random and the offsets to 0."""
        self.weight.copy_(torch.randn(self.weight.shape, generator=generator) * QUERY_STD)
        self.bias.zero_()


class AttentionHead(nn.Module):
    """Pixel tokens; queries that read them and one another; their products with the tokens."""

    def __init__(self, options: AttentionOptions, in_channels: int, keypoints: int) -> None:
        super().__init__()
        self.deconv_layers = deconv_layers(options, in_channels)
        channels = options.deconv_channels[-1] if options.deconv_channels else in_channels
        self.conv_layers = conv_layers(options, channels)
        channels = options.conv_channels[-1] if options.conv_channels else channels
        if channels % options.attention_heads:
            raise SpecError(f"Head: {channels} channels in {options.attention_heads} heads.")
        self.queries = KeypointQueries(keypoints, channels)
        self.cross_attention = Attention(channels, options.attention_heads)
        self.self_attention = Attention(channels, options.attention_heads)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Map features (N, C, h', w') to `(heatmaps,)`, (N, K, h, w)."""
        maps = self.conv_layers(self.deconv_layers(features))
        tokens = maps.flatten(2)
        asking = self.queries.weight.repeat(maps.shape[0], 1, 1)
        vectors = self.self_attention(self.cross_attention(asking, tokens.transpose(1, 2)))
        heatmaps = in_float32(_product, vectors, tokens) + self.queries.bias[:, None]
        return (heatmaps.reshape(-1, *heatmaps.shape[1:2], *maps.shape[2:]),)


def _product(vectors: Tensor, tokens: Tensor) -> Tensor:
    return vectors @ tokens


def build(options: AttentionOptions, around: Surroundings) -> AttentionHead:
    """Build the head with one heatmap for each keypoint."""
    if around.codec.channels != 1:
        raise SpecError("A heatmap-attention head has one map for each keypoint.")
    return AttentionHead(options, around.in_channels, around.keypoints)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return the options of a head with queries that attend to pixels, or None."""
    if "cross_attention.query.weight" not in shapes:
        return None
    # The queries stand where a plain head has its 1x1 layer.
    return recognise_layers({**shapes, "final_layer.weight": (*shapes["queries.weight"], 1, 1)})


HEATMAP_ATTENTION = HeadFamily(
    options=AttentionOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: shapes["queries.weight"][0],
    codec=HeatmapCodec,
    loss=squared_error,
    map_factor=deconv_factor,
)
