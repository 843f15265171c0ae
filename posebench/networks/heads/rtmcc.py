"""RTMPose's head of MMPose 1.3.2."""

from __future__ import annotations

from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.grids import SIZE_LOCKED, Bins, Grid
from posebench.networks.heads.gau import GatedAttentionUnit, ScaleNorm
from posebench.networks.heads.layers import final_layer
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.spec import HeadSpec


class RTMCCHead(nn.Module):
    """Maps, a gated attention unit over keypoints, and one linear layer per axis (RTMPose)."""

    size_locked = SIZE_LOCKED["rtmcc"]
    map_scales = (1,)

    def __init__(
        self, spec: HeadSpec, in_channels: int, keypoints: int, grid: Grid, bins: Bins
    ) -> None:
        super().__init__()
        if spec.deconv_channels:
            raise SpecError("Head: the kind `rtmcc` has no deconv_channels.")
        assert spec.gau is not None
        hidden = spec.gau.hidden_dims
        self.final_layer = final_layer(spec, in_channels, keypoints)
        self.mlp = nn.Sequential(ScaleNorm(grid.cells), nn.Linear(grid.cells, hidden, bias=False))
        self.gau = GatedAttentionUnit(spec.gau)
        self.cls_x = nn.Linear(hidden, bins.x, bias=False)
        self.cls_y = nn.Linear(hidden, bins.y, bias=False)

    def maps(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the maps (N, K, h, w) of features (N, C, h, w)."""
        return (self.final_layer(features),)

    def vectors(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)` of maps of the trained grid."""
        hidden = self.gau(self.mlp(maps.flatten(2)))
        return in_float32(self.cls_x, hidden), in_float32(self.cls_y, hidden)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)`."""
        return self.vectors(*self.maps(features))
