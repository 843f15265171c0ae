"""Heads of MMPose 1.3.2, parameter by parameter: `HeatmapHead`, `SimCCHead`, `RTMCCHead`.

A head is maps (N, K, h, w) and what is made of them; `size_locked` names the layers whose shape
the trained input size has fixed, `map_scales` the cells per cell of features on a side of each
map that such a layer takes.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from posebench.codecs import SimccCodec
from posebench.errors import SpecError
from posebench.gau import GatedAttentionUnit, ScaleNorm
from posebench.grids import SIZE_LOCKED, Bins, Grid, map_grid, simcc_bins
from posebench.output_layers import in_float32
from posebench.rtmw import RTMWHead
from posebench.spec import HeadSpec, ModelSpec

# Kernel of a stride-2 transposed convolution: padding and output padding that double a side.
_DECONV_PADDING = {4: (1, 0), 3: (1, 1), 2: (0, 0)}


class HeatmapHead(nn.Module):
    """An enlargement or transposed convolutions, more convolutions, one vector per keypoint."""

    size_locked = SIZE_LOCKED["heatmap"]

    def __init__(self, spec: HeadSpec, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.upsample = spec.upsample
        self.deconv_layers = _deconv_layers(spec, in_channels)
        channels = spec.deconv_channels[-1] if spec.deconv_channels else in_channels
        self.conv_layers = _conv_layers(spec, channels)
        channels = spec.conv_channels[-1] if spec.conv_channels else channels
        self.final_layer = _final_layer(spec, channels, out_channels)

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
            self.final_layer = _final_layer(spec, in_channels, channels)
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
        self.final_layer = _final_layer(spec, in_channels, keypoints)
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


Head = HeatmapHead | SimCCHead | RTMCCHead | RTMWHead


def build_head(spec: ModelSpec, in_channels: int, stride: int) -> Head:
    """Build the head of `spec` behind a backbone, with grid and bins for its input size.

    Raise `SpecError` for layers that no head of its kind has.
    """
    keypoints = len(spec.keypoints)
    if not isinstance(spec.codec, SimccCodec):
        return HeatmapHead(spec.head, in_channels, keypoints * spec.codec.channels)
    grid, bins = (
        map_grid(spec.head, stride, spec.input_size),
        simcc_bins(spec.codec, spec.input_size),
    )
    if spec.head.kind == "rtmw":
        return RTMWHead(spec.head, in_channels, keypoints, grid, bins)
    kind = SimCCHead if spec.head.kind == "simcc" else RTMCCHead
    return kind(spec.head, in_channels, keypoints, grid, bins)


def _deconv_layers(spec: HeadSpec, in_channels: int) -> nn.Sequential:
    """Build the transposed convolutions, numbered 0, 3, 6 with BatchNorm and ReLU between."""
    layers: list[nn.Module] = []
    groups = spec.deconv_groups or (1,) * len(spec.deconv_channels)
    for channels, kernel, group in zip(
        spec.deconv_channels, spec.deconv_kernels, groups, strict=True
    ):
        if kernel not in _DECONV_PADDING:
            raise SpecError(
                f"Head: a transposed convolution of kernel {kernel} cannot double the grid.",
                hint=f"Valid deconv_kernels: {', '.join(map(str, sorted(_DECONV_PADDING)))}.",
            )
        if in_channels % group or channels % group:
            raise SpecError(f"Head: {in_channels} -> {channels} channels in {group} groups.")
        padding, output_padding = _DECONV_PADDING[kernel]
        layers += [
            nn.ConvTranspose2d(
                in_channels, channels, kernel, 2, padding, output_padding, group, bias=False
            ),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        in_channels = channels
    return nn.Sequential(*layers)


def _conv_layers(spec: HeadSpec, in_channels: int) -> nn.Sequential:
    """Build the convolutions in front of the final one, numbered like the transposed ones."""
    layers: list[nn.Module] = []
    for channels, kernel in zip(spec.conv_channels, spec.conv_kernels, strict=True):
        convolution = nn.Conv2d(in_channels, channels, kernel, padding=(kernel - 1) // 2)
        layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        in_channels = channels
    return nn.Sequential(*layers)


def _final_layer(spec: HeadSpec, in_channels: int, out_channels: int) -> nn.Conv2d:
    """Build the convolution that makes the maps."""
    kernel = spec.final_layer_kernel
    if kernel % 2 == 0:
        raise SpecError(f"Head: final_layer_kernel must be odd, not {kernel}.")
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
