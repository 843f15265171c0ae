"""posebench scores further data sets as MMPose does; slow, and skipped without MMPose."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from datasets_parity import (
    CHECKOUT_VARIABLE,
    category_problems,
    problem_rows,
    small_set_rows,
)
from outside_files import NO_PEER, peer_python

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _needs_peer() -> None:
    if peer_python() is None:
        pytest.skip(NO_PEER)


def test_distances_equal_mmposes_on_random_problems() -> None:
    rows = problem_rows(range(33))
    assert len(rows) == 11
    assert {row.name: row.gap for row in rows if row.gap > 1e-10} == {}


def test_species_are_evaluated_together_as_in_mmpose() -> None:
    found = category_problems(range(40))
    assert found.numbers > 200 and found.gap <= 1e-10


def test_mmposes_small_sets_score_alike() -> None:
    folder = os.environ.get(CHECKOUT_VARIABLE)
    if folder is None:
        pytest.skip(f"needs {CHECKOUT_VARIABLE}, a checkout of MMPose with its tests/data")
    rows = small_set_rows(Path(folder) / "tests" / "data", (0,))
    assert len(rows) == 18
    assert {row.record: row.gap for row in rows if row.gap > 1e-10} == {}
    # Boxes and labels pass through single precision in both.
    assert all(max(row.box_gap, row.label_gap) < 1e-3 for row in rows)
