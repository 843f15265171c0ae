"""posebench: evaluate and benchmark 2D human-pose checkpoints, heatmap, SimCC and regression."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from posebench.__version__ import __version__ as __version__

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["__version__", "load_results"]


def load_results(folder: str | Path) -> pd.DataFrame:
    """Return the cells of a run directory as a pandas table; see `posebench.results.frames`."""
    from posebench.results import frames

    return frames.load_results(folder)
