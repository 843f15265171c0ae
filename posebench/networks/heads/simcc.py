"""SimCC's head (arXiv:2107.03332) of MMPose 1.3.2."""

from __future__ import annotations

from torch import Tensor, nn

from posebench.networks.grids import SIZE_LOCKED, Bins, Grid
from posebench.networks.heads.heatmap import HeatmapHead
from posebench.networks.heads.layers import final_layer
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.spec import HeadSpec


class SimCCHead(nn.Module):
    """Flattened maps through one linear layer per axis (SimCC, arXiv:2107.03332)."""

    size_locked = SIZE_LOCKED["simcc"]
    map_scales = (1,)

    def __init__(
        self, spec: HeadSpec, in_channels: int, keypoints: int, grid: Grid, bins: Bins
    ) -> None:
        super().__init__()
        self.deconv_head: HeatmapHead | None = None
        self.final_layer: nn.Conv2d | None = None
        self.keypoints = keypoints
        channels = keypoints * spec.channels_per_keypoint
        if spec.deconv_channels:
            self.deconv_head = HeatmapHead(spec, in_channels, channels)
        else:
            self.final_layer = final_layer(spec, in_channels, channels)
        inputs = spec.channels_per_keypoint * grid.cells
        self.mlp_head_x = nn.Linear(inputs, bins.x)
        self.mlp_head_y = nn.Linear(inputs, bins.y)

    def maps(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the maps (N, K * channels_per_keypoint, h, w) of features (N, C, h', w')."""
        if self.deconv_head is not None:
            return self.deconv_head(features)  # type: ignore[no-any-return]
        assert self.final_layer is not None
        return (self.final_layer(features),)

    def vectors(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)` of maps of the trained grid."""
        flat = maps.reshape(maps.shape[0], self.keypoints, -1)
        return in_float32(self.mlp_head_x, flat), in_float32(self.mlp_head_y, flat)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)`."""
        return self.vectors(*self.maps(features))
