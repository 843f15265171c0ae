"""SimCC's head (arXiv:2107.03332) of MMPose 1.3.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from posebench.networks.codecs import SimccCodec
from posebench.networks.grids import Bins, Grid, SizeLockedLayer, bins_at, grid_at
from posebench.networks.heads.family import AnswerLayers, HeadFamily, Surroundings
from posebench.networks.heads.heatmap import HeatmapHead
from posebench.networks.heads.layers import (
    check_counts,
    check_layers,
    deconv_factor,
    final_layer,
    recognise_layers,
)
from posebench.networks.heads.losses import divergence_of_bins
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec

# If keypoints have several channels each, shapes fit more than one K.
_GROUPED_KEYPOINTS = (17, 16)
_DECONVOLVED = "deconv_head."


@dataclass(frozen=True)
class SimCCOptions:
    """Options of the kind `simcc`: those of `MapLayers`, and `channels_per_keypoint`.

    Each keypoint has that many maps, which are flattened into one vector.
    """

    deconv_channels: tuple[int, ...] = ()
    deconv_kernels: tuple[int, ...] = ()
    deconv_groups: tuple[int, ...] = ()
    conv_channels: tuple[int, ...] = ()
    conv_kernels: tuple[int, ...] = ()
    final_layer_kernel: int = 1
    channels_per_keypoint: int = 1

    def __post_init__(self) -> None:
        check_layers(self)
        check_counts([self.channels_per_keypoint])


class SimCCHead(nn.Module):
    """Flattened maps through one linear layer per axis (SimCC, arXiv:2107.03332)."""

    def __init__(
        self, options: SimCCOptions, in_channels: int, keypoints: int, grid: Grid, bins: Bins
    ) -> None:
        super().__init__()
        self.deconv_head: HeatmapHead | None = None
        self.final_layer: nn.Conv2d | None = None
        self.keypoints = keypoints
        channels = keypoints * options.channels_per_keypoint
        if options.deconv_channels or options.conv_channels:
            self.deconv_head = HeatmapHead(options, in_channels, channels)
        else:
            self.final_layer = final_layer(options.final_layer_kernel, in_channels, channels)
        inputs = options.channels_per_keypoint * grid.cells
        self.mlp_head_x = nn.Linear(inputs, bins.x)
        self.mlp_head_y = nn.Linear(inputs, bins.y)

    def maps(self, features: Tensor) -> tuple[Tensor, ...]:
        """Map features (N, C, h', w') to maps (N, K * channels_per_keypoint, h, w)."""
        if self.deconv_head is not None:
            return self.deconv_head(features)  # type: ignore[no-any-return]
        assert self.final_layer is not None
        return (self.final_layer(features),)

    def vectors(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Turn maps of the trained grid into `(simcc_x, simcc_y)`."""
        flat = maps.reshape(maps.shape[0], self.keypoints, -1)
        return in_float32(self.mlp_head_x, flat), in_float32(self.mlp_head_y, flat)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)`."""
        return self.vectors(*self.maps(features))


def build(options: SimCCOptions, around: Surroundings) -> SimCCHead:
    """Build the head with the grid and the bins of an input size."""
    assert isinstance(around.codec, SimccCodec)
    grid = grid_at(around.size, around.stride, deconv_factor(options))
    bins = bins_at(around.codec, around.size)
    return SimCCHead(options, around.in_channels, around.keypoints, grid, bins)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return the options of a head with one linear layer per axis after its maps, or None."""
    if "mlp_head_x.weight" not in shapes:
        return None
    prefix = _below(shapes)
    return recognise_layers(shapes, prefix) if f"{prefix}final_layer.weight" in shapes else {}


def count_channels(shapes: Shapes) -> int:
    """Return the channels of the maps."""
    return shapes[f"{_below(shapes)}final_layer.weight"][0]


def told_by_channels(shapes: Shapes, channels: int) -> dict[str, Any] | None:
    """Return `channels_per_keypoint` for this number of channels, or None if no K fits it."""
    if channels == 1:
        return {}
    fits = any(channels * count == count_channels(shapes) for count in _GROUPED_KEYPOINTS)
    return {"channels_per_keypoint": channels} if fits else None


def answer_layers(head: SimCCHead) -> AnswerLayers:
    """Return the layer of keypoint vectors, after the deconvolutions if any, and those of bins."""
    keypoints = head.final_layer if head.deconv_head is None else head.deconv_head.final_layer
    assert keypoints is not None
    return AnswerLayers(keypoints, {"simcc_x": head.mlp_head_x, "simcc_y": head.mlp_head_y})


def _below(shapes: Shapes) -> str:
    return _DECONVOLVED if f"{_DECONVOLVED}final_layer.weight" in shapes else ""


SIMCC = HeadFamily(
    options=SimCCOptions,
    build=build,
    recognise=recognise,
    channels=count_channels,
    codec=SimccCodec,
    loss=divergence_of_bins,
    map_factor=deconv_factor,
    size_locked=(
        SizeLockedLayer("mlp_head_x", cells=1, bins="x"),
        SizeLockedLayer("mlp_head_y", cells=1, bins="y"),
    ),
    told_by_channels=told_by_channels,
    answer_layers=answer_layers,
)
