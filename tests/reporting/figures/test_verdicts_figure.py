"""The figure of verdicts: rows, seeds and where a claim is supported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_store import result
from trained_cells import CLAIM, replicates_of_cells, trained_cells

from posebench.judging.verdicts import Verdict, judge
from posebench.reporting.figures.drawing import write_drawing
from posebench.reporting.figures.lab.verdicts import effect_rows, verdicts_drawing
from posebench.suites.claims import Claim

SEEDS = {"s": [0.02, 0.03, 0.025]}


def judged(*claims: Claim) -> tuple[Verdict, ...]:
    cells = trained_cells(SEEDS) + trained_cells(SEEDS, fields={"dataset": "lsp"})
    return judge(claims, cells, replicates_of_cells(cells, 0.001))


def test_a_row_for_each_claim_and_data_set() -> None:
    rows = effect_rows([*judged(CLAIM), Verdict(CLAIM, "untested")])
    assert [row.label for row in rows] == [f"{CLAIM.id} · people", f"{CLAIM.id} · lsp"]
    assert [row.verdict for row in rows] == ["supported", "supported"]
    assert rows[0].seeds == pytest.approx((0.02, 0.03, 0.025))


def test_panels_are_of_one_unit(tmp_path: Path) -> None:
    trend = replace(CLAIM, id="within", direction="within", margin=0.01)
    drawing = verdicts_drawing(judged(CLAIM, trend), [result()])
    assert drawing is not None and len(drawing.panels) == 1
    assert "images" in drawing.heading and "boxes gt" in drawing.heading
    written = tmp_path / "verdicts.svg"
    write_drawing(drawing, written)
    text = written.read_text(encoding="utf-8")
    for said in ("effect (AP)", "one training seed", "within · lsp: refuted", "supports the claim"):
        assert said in text
    assert verdicts_drawing([Verdict(CLAIM, "untested")]) is None
