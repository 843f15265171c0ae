"""The layers that make maps, shared by all heads: their options, names and shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from torch import nn

from posebench.errors import SpecError
from posebench.networks.shapes import Shapes

# By kernel of a stride-2 transposed convolution: the padding and output padding that double a side.
DECONV_PADDING = {4: (1, 0), 3: (1, 1), 2: (0, 0)}


class MapLayers(Protocol):
    """Options of the transposed convolutions, the convolutions after them, and the final one.

    `deconv_channels` lists output channels (empty: no such layers); `deconv_kernels` and
    `deconv_groups` are parallel to it, `conv_kernels` to `conv_channels`.
    """

    @property
    def deconv_channels(self) -> tuple[int, ...]: ...
    @property
    def deconv_kernels(self) -> tuple[int, ...]: ...
    @property
    def deconv_groups(self) -> tuple[int, ...]: ...
    @property
    def conv_channels(self) -> tuple[int, ...]: ...
    @property
    def conv_kernels(self) -> tuple[int, ...]: ...
    @property
    def final_layer_kernel(self) -> int: ...


def check_layers(layers: MapLayers) -> None:
    """Raise `SpecError` if options do not fit together."""
    deconvs, kernels = len(layers.deconv_channels), len(layers.deconv_kernels)
    convolutions = len(layers.conv_channels), len(layers.conv_kernels)
    check_counts(
        (
            *layers.deconv_channels,
            *layers.deconv_kernels,
            *layers.deconv_groups,
            *layers.conv_channels,
            *layers.conv_kernels,
            layers.final_layer_kernel,
        )
    )
    if kernels != deconvs:
        raise SpecError(f"Head: {deconvs} deconv_channels but {kernels} kernels.")
    if layers.deconv_groups and len(layers.deconv_groups) != deconvs:
        raise SpecError(f"Head: {deconvs} deconv_channels, {len(layers.deconv_groups)} groups.")
    if convolutions[0] != convolutions[1]:
        raise SpecError(f"Head: {convolutions[0]} conv_channels, {convolutions[1]} kernels.")


def check_counts(counts: Iterable[int]) -> None:
    """Raise `SpecError` if a count is below 1."""
    if min(counts) < 1:
        raise SpecError("Head: channels, kernels, groups and factors must be 1 or more.")


def deconv_factor(layers: MapLayers) -> int:
    """Return the factor by which the transposed convolutions multiply a map's sides."""
    return int(2 ** len(layers.deconv_channels))


def deconv_layers(options: MapLayers, in_channels: int) -> nn.Sequential:
    """Build the transposed convolutions, numbered 0, 3, 6 with BatchNorm and ReLU between."""
    layers: list[nn.Module] = []
    groups = options.deconv_groups or (1,) * len(options.deconv_channels)
    for channels, kernel, group in zip(
        options.deconv_channels, options.deconv_kernels, groups, strict=True
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


def conv_layers(options: MapLayers, in_channels: int) -> nn.Sequential:
    """Build the convolutions before the final one, numbered like the transposed ones."""
    layers: list[nn.Module] = []
    for channels, kernel in zip(options.conv_channels, options.conv_kernels, strict=True):
        convolution = nn.Conv2d(in_channels, channels, kernel, padding=(kernel - 1) // 2)
        layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        in_channels = channels
    return nn.Sequential(*layers)


def final_layer(kernel: int, in_channels: int, out_channels: int) -> nn.Conv2d:
    """Build the convolution that makes the maps."""
    if kernel % 2 == 0:
        raise SpecError(f"Head: final_layer_kernel must be odd, not {kernel}.")
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)


def recognise_layers(shapes: Shapes, prefix: str = "") -> dict[str, Any]:
    """Return the options of the layers below `prefix`, which must include the final one."""
    deconvs, convolutions = (
        _numbered(shapes, f"{prefix}{name}") for name in ("deconv_layers", "conv_layers")
    )
    found: dict[str, Any] = {"final_layer_kernel": shapes[f"{prefix}final_layer.weight"][-1]}
    if convolutions:
        found["conv_channels"] = [weight[0] for weight, _ in convolutions]
        found["conv_kernels"] = [weight[-1] for weight, _ in convolutions]
    if deconvs:
        # Weights are (in, out / groups, k, k); those of the BatchNorm after them are (out,).
        channels = [weight[1] if norm is None else norm[0] for weight, norm in deconvs]
        found["deconv_channels"] = channels
        found["deconv_kernels"] = [weight[-1] for weight, _ in deconvs]
        groups = [out // weight[1] for out, (weight, _) in zip(channels, deconvs, strict=True)]
        if any(group != 1 for group in groups):
            found["deconv_groups"] = groups
    return found


def _numbered(shapes: Shapes, name: str) -> list[tuple[tuple[int, ...], tuple[int, ...] | None]]:
    """Return the weights of a sequence's convolutions, each with that of its BatchNorm."""
    pattern = re.compile(re.escape(name) + r"\.(\d+)\.weight")
    numbers = sorted(
        int(match[1])
        for key, shape in shapes.items()
        if (match := pattern.fullmatch(key)) and len(shape) == 4
    )
    return [
        (shapes[f"{name}.{number}.weight"], shapes.get(f"{name}.{number + 1}.weight"))
        for number in numbers
    ]
