"""Corruptions as an axis of a suite: cells, protocols, keys, claims, and clean numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_run import small_checkpoint

from posebench.errors import SpecError
from posebench.judging.verdicts import verdicts_of
from posebench.results.store import read_run
from posebench.running.request import ProgressDisplay, RunRequest
from posebench.running.run_suite import run_suite
from posebench.suites.claims import Claim
from posebench.suites.suite import ScoringEntry, Suite, check_suite
from posebench.zoo import resolve

ALIKE = Claim(
    id="alike",
    statement="Both lose the same.",
    treatment={"paradigm": "simcc"},
    control={"paradigm": "heatmap"},
    at={"corruption": ("blur-1", "blur-5")},
    relative_to={"corruption": "none"},
    match_by=("dataset", "corruption"),
    direction="within",
    margin=0.02,
)


def ran(people: Path, out: Path, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "checkpoints": (str(resolve("heatmap-s")), str(resolve("simcc-s"))),
        "datasets": (str(people),),
        "scoring": ScoringEntry(replicates=50),
    }
    suite = Suite("small", "d", **{**fields, **changes})
    claims = tuple(claim for claim in suite.claims if isinstance(claim, Claim))
    request = RunRequest(suite, claims, Path(), out)
    run_suite(request, ProgressDisplay(lambda *_: None))
    return {cell.id: cell for cell in read_run(out).cells}


@pytest.fixture(scope="module")
def out(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corrupted") / "run"
    ran(people, folder, corruptions=("none", "blur-1", "blur-5"), claims=(ALIKE,))
    return folder


def test_each_corruption_is_a_cell_and_part_of_its_protocol(out: Path) -> None:
    cells = read_run(out).cells
    assert len(cells) == 6
    for cell in cells:
        corruption = cell.result.protocol.corruption
        assert cell.result.status == "ok"
        assert cell.id.endswith(corruption) == (corruption != "none")
    scores = {
        (cell.result.checkpoint.name, cell.result.protocol.corruption): cell.result.metrics["AP"]
        for cell in cells
        if cell.result.metrics is not None
    }
    assert scores["heatmap-s", "none"] > scores["heatmap-s", "blur-5"]


def test_predictions_are_kept_apart_and_clean_numbers_stay(
    out: Path, people: Path, tmp_path: Path
) -> None:
    cells = {cell.id: cell for cell in read_run(out).cells}
    assert len({cell.predictions for cell in cells.values()}) == 6
    clean = ran(people, tmp_path / "clean")
    for name, cell in clean.items():
        assert cell.predictions == cells[name].predictions
        assert cell.result.metrics == cells[name].result.metrics


def test_a_claim_compares_what_each_side_loses(out: Path) -> None:
    (verdict,) = verdicts_of(read_run(out))
    cells = {
        (cell.result.checkpoint.name, cell.result.protocol.corruption): cell
        for cell in read_run(out).cells
    }

    def lost(name: str, corruption: str) -> float:
        numbers = [cells[name, each].result.metrics["AP"] for each in (corruption, "none")]
        return float(numbers[0] - numbers[1])

    levels = ("blur-1", "blur-5")
    effect = sum(lost("simcc-s", each) - lost("heatmap-s", each) for each in levels) / 2
    assert verdict.effect == pytest.approx(effect)
    assert verdict.low is not None


def test_corrupted_and_clean_cells_do_not_compare_by_accident(out: Path) -> None:
    claim = Claim(
        id="mixed",
        statement="Blurred SimCC beats clean heatmaps.",
        treatment={"checkpoint": "simcc-s"},
        control={"checkpoint": "heatmap-s"},
        match_by=("dataset",),
    )
    run = read_run(out)
    from dataclasses import replace

    mixed = replace(run, record=replace(run.record, claims=(claim,)))
    (verdict,) = verdicts_of(mixed)
    assert verdict.verdict == "not comparable"


def test_a_suite_with_an_unknown_corruption_is_refused() -> None:
    with pytest.raises(SpecError, match="no corruption 'blurr-3'"):
        check_suite(Suite("s", "d", ("heatmap-s",), corruptions=("blurr-3",)))


def test_a_small_network_runs_too(people: Path, tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "heatmap.safetensors")
    cells = ran(people, tmp_path / "o", checkpoints=(str(checkpoint),), corruptions=("fog-2",))
    assert [cell.result.status for cell in cells.values()] == ["ok"]
