"""The contact sheet: a grid of cells, with or without skeletons."""

from __future__ import annotations

import numpy as np

from posebench.datasets.synthetic.contact_sheet import CELL, contact_sheet


def test_grid_and_skeletons() -> None:
    plain = contact_sheet("standard", 2, 1, 3, draw_keypoints=False)
    drawn = contact_sheet("standard", 2, 1, 3, draw_keypoints=True)
    assert plain.shape == drawn.shape == (CELL, 2 * CELL, 3)
    assert not np.array_equal(plain, drawn)
    assert plain[:, CELL:].std() > 5
