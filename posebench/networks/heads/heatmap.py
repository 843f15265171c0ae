"""The heatmap head of MMPose 1.3.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.networks.codecs import HeatmapCodec
from posebench.networks.heads.family import AnswerLayers, HeadFamily, Surroundings
from posebench.networks.heads.layers import (
    MapLayers,
    check_counts,
    check_layers,
    conv_layers,
    deconv_factor,
    deconv_layers,
    final_layer,
    recognise_layers,
)
from posebench.networks.heads.losses import squared_error
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec

OUTPUT_STD = 0.001
# ViTPose's simple heads are recognised by their 3x3 layer right after the backbone; all enlarge by
# 4.
_SIMPLE = {"final_layer_kernel": 3}
_SIMPLE_UPSAMPLE = 4


@dataclass(frozen=True)
class HeatmapOptions:
    """Options of the kind `heatmap`: those of `MapLayers`, and `upsample`.

    If `upsample` is above 1, a ReLU and a bilinear enlargement by that factor come first (ViTPose's
    simple head).
    """

    deconv_channels: tuple[int, ...] = ()
    deconv_kernels: tuple[int, ...] = ()
    deconv_groups: tuple[int, ...] = ()
    conv_channels: tuple[int, ...] = ()
    conv_kernels: tuple[int, ...] = ()
    final_layer_kernel: int = 1
    upsample: int = 1

    def __post_init__(self) -> None:
        check_layers(self)
        check_counts([self.upsample])


class HeatmapHead(nn.Module):
    """An enlargement or transposed convolutions, more convolutions, one vector per keypoint."""

    def __init__(
        self, layers: MapLayers, in_channels: int, out_channels: int, upsample: int = 1
    ) -> None:
        super().__init__()
        self.upsample = upsample
        self.deconv_layers = deconv_layers(layers, in_channels)
        channels = layers.deconv_channels[-1] if layers.deconv_channels else in_channels
        self.conv_layers = conv_layers(layers, channels)
        channels = layers.conv_channels[-1] if layers.conv_channels else channels
        self.final_layer = final_layer(layers.final_layer_kernel, channels, out_channels)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Map features (N, C, h', w') to `(heatmaps,)`, (N, K, h, w)."""
        if self.upsample > 1:
            features = functional.interpolate(
                functional.relu(features),
                scale_factor=self.upsample,
                mode="bilinear",
                align_corners=False,
            )
        return (in_float32(self.final_layer, self.conv_layers(self.deconv_layers(features))),)


def build(options: HeatmapOptions, around: Surroundings) -> HeatmapHead:
    """Build the head with the codec's channels for each keypoint."""
    channels = around.keypoints * around.codec.channels
    return HeatmapHead(options, around.in_channels, channels, options.upsample)


def recognise(shapes: Shapes, backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return the options of a head that ends in a convolution, or None."""
    if len(shapes.get("final_layer.weight", ())) != 4:
        return None
    options = recognise_layers(shapes)
    if backbone is not None and backbone.family == "vit" and options == _SIMPLE:
        options["upsample"] = _SIMPLE_UPSAMPLE
    return options


def initialise(head: HeatmapHead, generator: torch.Generator) -> None:
    """Initialise the final layer as MMPose does: normal, std 0.001."""
    weight = head.final_layer.weight
    weight.copy_(torch.randn(weight.shape, generator=generator) * OUTPUT_STD)


HEATMAP = HeadFamily(
    options=HeatmapOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: shapes["final_layer.weight"][0],
    codec=HeatmapCodec,
    loss=squared_error,
    map_factor=lambda options: options.upsample * deconv_factor(options),
    initialise=initialise,
    answer_layers=lambda head: AnswerLayers(head.final_layer),
)
