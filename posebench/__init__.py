"""posebench: evaluate and benchmark 2D human-pose checkpoints, heatmap and SimCC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__version__ = "0.1.0"


def load_results(folder: str | Path) -> pd.DataFrame:
    """Return the cells of a run directory as a pandas table; see `posebench.frames`."""
    from posebench import frames

    return frames.load_results(folder)
