"""RTMPose's head of MMPose 1.3.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from posebench.networks.codecs import SimccCodec
from posebench.networks.grids import Bins, Grid, SizeLockedLayer, bins_at, grid_at
from posebench.networks.heads.family import AnswerLayers, HeadFamily, Surroundings
from posebench.networks.heads.gau import GatedAttentionUnit, GauOptions, ScaleNorm, recognise_gau
from posebench.networks.heads.layers import check_counts, final_layer
from posebench.networks.heads.losses import divergence_of_bins
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec


@dataclass(frozen=True)
class RTMCCOptions:
    """Options of the kind `rtmcc`.

    Without `attention` between keypoints, the linear layers of the axes read each keypoint's vector
    of `gau.hidden_dims` values as it is.
    """

    gau: GauOptions
    final_layer_kernel: int = 1
    attention: bool = True

    def __post_init__(self) -> None:
        check_counts([self.final_layer_kernel])


class RTMCCHead(nn.Module):
    """Maps, a gated attention unit over keypoints, and one linear layer per axis (RTMPose)."""

    def __init__(
        self, options: RTMCCOptions, in_channels: int, keypoints: int, grid: Grid, bins: Bins
    ) -> None:
        super().__init__()
        hidden = options.gau.hidden_dims
        self.final_layer = final_layer(options.final_layer_kernel, in_channels, keypoints)
        self.mlp = nn.Sequential(ScaleNorm(grid.cells), nn.Linear(grid.cells, hidden, bias=False))
        self.gau = GatedAttentionUnit(options.gau) if options.attention else nn.Identity()
        self.cls_x = nn.Linear(hidden, bins.x, bias=False)
        self.cls_y = nn.Linear(hidden, bins.y, bias=False)

    def maps(self, features: Tensor) -> tuple[Tensor, ...]:
        """Map features (N, C, h, w) to maps (N, K, h, w)."""
        return (self.final_layer(features),)

    def vectors(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Turn maps of the trained grid into `(simcc_x, simcc_y)`."""
        hidden = self.gau(self.mlp(maps.flatten(2)))
        return in_float32(self.cls_x, hidden), in_float32(self.cls_y, hidden)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)`."""
        return self.vectors(*self.maps(features))


def build(options: RTMCCOptions, around: Surroundings) -> RTMCCHead:
    """Build the head with the grid and the bins of an input size."""
    assert isinstance(around.codec, SimccCodec)
    grid = grid_at(around.size, around.stride)
    bins = bins_at(around.codec, around.size)
    return RTMCCHead(options, around.in_channels, around.keypoints, grid, bins)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return the options of a head whose maps become wider vectors before their bins, or None."""
    if not {"cls_x.weight", "mlp.1.weight"} <= set(shapes):
        return None
    gau = recognise_gau(shapes)
    return {
        "final_layer_kernel": shapes.get("final_layer.weight", (1,))[-1],
        "gau": gau or {"hidden_dims": shapes["mlp.1.weight"][0]},
        "attention": gau is not None,
    }


RTMCC = HeadFamily(
    options=RTMCCOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: shapes["final_layer.weight"][0],
    codec=SimccCodec,
    loss=divergence_of_bins,
    size_locked=(
        SizeLockedLayer("mlp.1", cells=1, bins=None),
        SizeLockedLayer("cls_x", cells=0, bins="x"),
        SizeLockedLayer("cls_y", cells=0, bins="y"),
    ),
    answer_layers=lambda head: AnswerLayers(
        head.final_layer, {"simcc_x": head.cls_x, "simcc_y": head.cls_y}
    ),
)
