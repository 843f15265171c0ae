from __future__ import annotations

from pathlib import Path

import pytest
import torch
from original_repositories import Case, checkouts
from originals_report import CASES, compare, within_limits


@pytest.mark.slow
@pytest.mark.parametrize("flip", [False, True], ids=["noflip", "flip"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.config)
def test_networks_flips_and_decoders_equal_the_repositories(
    coco_mini: Path, case: Case, flip: bool
) -> None:
    pytest.importorskip("einops", reason="the SimCC repository needs einops")
    folder = checkouts()
    if folder is None:
        pytest.skip("needs POSEBENCH_ORIGINALS, a folder with checkouts of the three repositories")
    torch.set_num_threads(1)
    row = compare(case, folder, coco_mini, flip)
    assert within_limits(row), row
    assert row.ties < 0.02 * row.keypoints
