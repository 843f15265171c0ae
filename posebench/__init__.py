"""posebench: evaluate and benchmark 2D human-pose checkpoints, heatmap and SimCC."""

__version__ = "0.1.0"
