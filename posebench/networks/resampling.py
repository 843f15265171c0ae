"""Linear resampling of cells and bins between input sizes, as matrices.

Bin j lies at pixel j / split_ratio, so bins of two sizes are aligned at index 0; cells are aligned
at the middle of their pixels.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from posebench.networks.grids import Grid


def cell_center(stride: int) -> float:
    """Return the position, within a cell and in cells, of the content that the cell stands for.

    A cell's receptive field is centred on its first pixel, i * stride. But a network that is also
    trained on mirrored crops must treat cell i and its mirror image alike, so the cell stands for
    the middle of its pixels.
    """
    return (stride - 1) / (2 * stride)


def resample_matrix(source: int, target: int, step: float, center: float = 0.0) -> Tensor:
    """Return the (target, source) float32 matrix that samples `source` values linearly.

    Value i of either side lies at i + `center`, in steps of that side; places beyond the ends take
    the end values. The linear kernel widens to `step` when shrinking, so that no source value is
    skipped. Rows sum to 1; for step 1 and equal lengths the matrix is the identity.
    """
    there, here = (
        torch.arange(count, dtype=torch.float64, device="cpu") for count in (target, source)
    )
    position = ((there + center) * step - center).clamp(min=0, max=source - 1)
    distance = (position[:, None] - here).abs()
    weights = (1 - distance / max(1.0, step)).clamp(min=0)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


@cache
def kept_matrix(
    source: int, target: int, step: float, center: float, device: torch.device
) -> Tensor:
    """Return `resample_matrix` on a device, made once, so that a captured graph may read it."""
    # Outside inference mode, in which a tensor can never be part of training afterwards.
    with torch.inference_mode(False):
        return resample_matrix(source, target, step, center).to(device)


def resample_cells(weight: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return a weight (outputs, cells) for another grid, by matrices (new, old) of its sides.

    It is multiplied by old over new number of cells, so that the sum over the grid keeps its
    magnitude.
    """
    old, new = (Grid(rows.shape[side], columns.shape[side]) for side in (1, 0))
    grid = rows @ weight.reshape(-1, old.height, old.width) @ columns.T
    return grid.reshape(len(weight), -1) * (old.cells / new.cells)
