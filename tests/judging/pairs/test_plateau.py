"""Cells that were trained for longer tell how far the others are from their plateau."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trained_cells import CLAIM, replicates_of_cells, trained_cell, trained_cells

from posebench.judging.verdicts import judge
from posebench.suites.claims import Claim


def test_longer_trainings_are_not_judged_but_told() -> None:
    cells = trained_cells({"s": [0.03, 0.03, 0.03]})
    twice = [
        trained_cell("heatmap", 0, 0.543, fields={"labels.budget": "2x"}),
        trained_cell("heatmap", 1, 0.523, fields={"labels.budget": "2x"}),
        trained_cell("simcc", 7, 0.9, fields={"labels.budget": "2x"}),
    ]
    (verdict,) = judge([CLAIM], [*cells, *twice], replicates_of_cells(cells, 0.001))
    assert verdict.verdict == "supported"
    assert verdict.cells == tuple(cell.id for cell in cells)
    ((arm, gain),) = verdict.plateau
    # 54.3 against 50 and 52.3 against 51 points; no SimCC cell has seed 7.
    assert (arm, gain) == ("heatmap, budget 2x", pytest.approx(0.028))


def test_a_claim_may_be_about_the_budget() -> None:
    budgets = {"2x": 0.54, "1x": 0.5}
    cells = [
        trained_cell("heatmap", seed, value, fields={"labels.budget": budget})
        for seed in range(3)
        for budget, value in budgets.items()
    ]
    claim = Claim(
        "c", "Longer is better.", {"labels.budget": "2x"}, {"labels.budget": "1x"},
        match_by=("dataset", "labels.arm"),
    )  # fmt: skip
    (verdict,) = judge([claim], cells, replicates_of_cells(cells, 0.001))
    assert (verdict.effect, verdict.seeds) == (pytest.approx(0.04), 3)
    (one,) = judge([replace(claim, at={"labels.seed": "0"})], cells, {})
    assert one.seeds == 1
