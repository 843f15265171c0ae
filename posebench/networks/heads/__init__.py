"""Heads of MMPose 1.3.2, parameter by parameter: `HeatmapHead`, `SimCCHead`, `RTMCCHead`.

A head is maps (N, K, h, w) and what is made of them; `size_locked` names the layers whose shape
the trained input size has fixed, `map_scales` the cells per cell of features on a side of each
map that such a layer takes.
"""

from __future__ import annotations

from posebench.networks.codecs import SimccCodec
from posebench.networks.grids import map_grid, simcc_bins
from posebench.networks.heads.heatmap import HeatmapHead
from posebench.networks.heads.rtmcc import RTMCCHead
from posebench.networks.heads.rtmw import RTMWHead
from posebench.networks.heads.simcc import SimCCHead
from posebench.networks.spec import ModelSpec

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
