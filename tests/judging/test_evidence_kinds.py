"""Kinds of evidence: the words that claims may use, and what each is judged on."""

from __future__ import annotations

import typing
from dataclasses import replace
from pathlib import Path

from small_run import made_up
from small_speed import CONDITIONS, SPEED
from small_store import made_up_table, result, run_folder

from posebench.judging.claim_cells import cells_of
from posebench.judging.evidence_kinds import EVIDENCE_KINDS
from posebench.judging.verdicts import judge
from posebench.results.cell import CellResult
from posebench.results.store import read_run
from posebench.suites.claims import Claim, EvidenceWord

CLAIM = Claim(
    id="c",
    statement="SimCC is cheaper.",
    treatment={"paradigm": "simcc"},
    control={"paradigm": "heatmap"},
    match_by=("size",),
    direction="less",
)


def verdict(tmp_path: Path, claim: Claim, simcc: CellResult, heatmap: CellResult) -> str:
    run = read_run(run_folder(tmp_path, {"a": simcc, "b": heatmap}))
    (found,) = judge([claim], cells_of(run), {})
    return found.verdict


def test_every_word_of_a_claim_is_a_kind() -> None:
    assert set(EVIDENCE_KINDS) == set(typing.get_args(EvidenceWord))


def test_measured_claims_rest_on_the_run_and_published_ones_do_not(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, {"a": result()}, {"a": made_up_table(0.6)}))
    measured, published = (EVIDENCE_KINDS[word] for word in ("measured", "published"))
    assert [cell.id for cell in measured.cells(run)] == ["a"]
    assert set(measured.replicates(run, [replace(CLAIM, metric="AP")])) == {("a", "AP")}
    assert len(published.cells(run)) > 100
    assert published.replicates(run, [CLAIM]) == {}


def test_no_chance_moves_a_number_of_the_network(tmp_path: Path) -> None:
    cells = [replace(made_up(f"{name}-s", "64x48", "native", 0.5)) for name in ("simcc", "heatmap")]
    cheap = replace(cells[0], gflops=0.02)
    claim = replace(CLAIM, metric="GFLOPs")
    assert verdict(tmp_path, claim, cheap, cells[1]) == "supported"


def test_speeds_are_told_from_chance_and_compared_under_the_same_conditions(tmp_path: Path) -> None:
    one, other = (
        replace(made_up(f"{name}-s", "64x48", "native", 0.5), speed=SPEED)
        for name in ("simcc", "heatmap")
    )
    claim = replace(CLAIM, metric="latency ms")
    assert verdict(tmp_path / "same", claim, one, other) == "inconclusive"
    conditions = replace(CONDITIONS, threads=7)
    moved = replace(other, speed=replace(SPEED, conditions=conditions))
    assert verdict(tmp_path / "moved", claim, one, moved) == "not comparable"
    assert verdict(tmp_path / "ap", replace(claim, metric="AP"), one, moved) == "inconclusive"
