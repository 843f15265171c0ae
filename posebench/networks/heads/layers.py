"""Layers that heads share."""

from __future__ import annotations

from torch import nn

from posebench.errors import SpecError
from posebench.networks.spec import HeadSpec

# Kernel of a stride-2 transposed convolution: padding and output padding that double a side.
DECONV_PADDING = {4: (1, 0), 3: (1, 1), 2: (0, 0)}


def deconv_layers(spec: HeadSpec, in_channels: int) -> nn.Sequential:
    """Build the transposed convolutions, numbered 0, 3, 6 with BatchNorm and ReLU between."""
    layers: list[nn.Module] = []
    groups = spec.deconv_groups or (1,) * len(spec.deconv_channels)
    for channels, kernel, group in zip(
        spec.deconv_channels, spec.deconv_kernels, groups, strict=True
    ):
        if kernel not in DECONV_PADDING:
            raise SpecError(
                f"Head: a transposed convolution of kernel {kernel} cannot double the grid.",
                hint=f"Valid deconv_kernels: {', '.join(map(str, sorted(DECONV_PADDING)))}.",
            )
        if in_channels % group or channels % group:
            raise SpecError(f"Head: {in_channels} -> {channels} channels in {group} groups.")
        padding, output_padding = DECONV_PADDING[kernel]
        layers += [
            nn.ConvTranspose2d(
                in_channels, channels, kernel, 2, padding, output_padding, group, bias=False
            ),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        in_channels = channels
    return nn.Sequential(*layers)


def conv_layers(spec: HeadSpec, in_channels: int) -> nn.Sequential:
    """Build the convolutions in front of the final one, numbered like the transposed ones."""
    layers: list[nn.Module] = []
    for channels, kernel in zip(spec.conv_channels, spec.conv_kernels, strict=True):
        convolution = nn.Conv2d(in_channels, channels, kernel, padding=(kernel - 1) // 2)
        layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        in_channels = channels
    return nn.Sequential(*layers)


def final_layer(spec: HeadSpec, in_channels: int, out_channels: int) -> nn.Conv2d:
    """Build the convolution that makes the maps."""
    kernel = spec.final_layer_kernel
    if kernel % 2 == 0:
        raise SpecError(f"Head: final_layer_kernel must be odd, not {kernel}.")
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
