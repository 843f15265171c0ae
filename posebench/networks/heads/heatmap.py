"""The heatmap head of MMPose 1.3.2."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from posebench.networks.grids import SIZE_LOCKED
from posebench.networks.heads.layers import conv_layers, deconv_layers, final_layer
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.spec import HeadSpec


class HeatmapHead(nn.Module):
    """An enlargement or transposed convolutions, more convolutions, one vector per keypoint."""

    size_locked = SIZE_LOCKED["heatmap"]

    def __init__(self, spec: HeadSpec, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.upsample = spec.upsample
        self.deconv_layers = deconv_layers(spec, in_channels)
        channels = spec.deconv_channels[-1] if spec.deconv_channels else in_channels
        self.conv_layers = conv_layers(spec, channels)
        channels = spec.conv_channels[-1] if spec.conv_channels else channels
        self.final_layer = final_layer(spec, channels, out_channels)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return `(heatmaps,)`, (N, K, h, w), of features (N, C, h', w')."""
        if self.upsample > 1:
            features = functional.interpolate(
                functional.relu(features),
                scale_factor=self.upsample,
                mode="bilinear",
                align_corners=False,
            )
        return (in_float32(self.final_layer, self.conv_layers(self.deconv_layers(features))),)
