"""Codecs: keypoints to training targets and network outputs back to keypoints."""

from posebench.codecs.heatmap import HeatmapCodec
from posebench.codecs.simcc import SimccCodec

Codec = HeatmapCodec | SimccCodec

__all__ = ["Codec", "HeatmapCodec", "SimccCodec"]
