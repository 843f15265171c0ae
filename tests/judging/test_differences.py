"""Differences between a run's checkpoints: places, statistics, and why there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_store import made_up_table, result, run_folder

from posebench.errors import UsageError
from posebench.judging.differences import (
    Subtraction,
    baseline_of,
    chance_of,
    checkpoints_of,
    difference_claims,
    differences_of,
)
from posebench.judging.verdicts import verdicts_of
from posebench.networks.sizes import InputSize
from posebench.reporting.figures.effects import differences_drawing
from posebench.reporting.printing import text_of
from posebench.reporting.tables.difference_table import difference_table
from posebench.reporting.tables.pivot.request import PivotRequest
from posebench.reporting.tables.pivot.table import pivot_runs
from posebench.results.differences import by_cell, read_differences, write_differences
from posebench.results.store import Run, read_run


@pytest.fixture
def two(tmp_path: Path) -> Run:
    """A run of A and B on two kinds of boxes; B is far better with gt."""
    cells = {
        f"{name}-{boxes}": result(name, ap, boxes=boxes)
        for name, boxes, ap in (
            ("A", "gt", 0.3),
            ("B", "gt", 0.9),
            ("A", "d", 0.5),
            ("B", "d", 0.5),
        )
    }
    tables = {
        "A-gt": made_up_table(0.3),
        "B-gt": made_up_table(0.9, seed=1),
        "A-d": made_up_table(0.5),
        "B-d": made_up_table(0.5, seed=1),
    }
    return read_run(run_folder(tmp_path / "run", cells, tables))


def test_each_place_has_a_difference_with_its_interval(two: Run) -> None:
    assert checkpoints_of(two) == ("A", "B")
    found = by_cell(differences_of(two, "A").differences)
    assert set(found) == {"B-gt", "B-d"}
    clear, vague = found["B-gt"], found["B-d"]
    assert (clear.place, clear.baseline_cell) == ({"boxes": "gt"}, "A-gt")
    assert clear.difference == pytest.approx(0.6)
    assert clear.low is not None and clear.high is not None
    assert 0 < clear.low < 0.6 < clear.high
    assert clear.told_apart and clear.is_better
    assert vague.told_apart is False
    assert vague.detectable is not None and vague.detectable > 0.05
    assert clear.p is not None and clear.p_holm == pytest.approx(2 * clear.p)


@pytest.fixture
def mixed(tmp_path: Path) -> Run:
    """A run of A and B on people, scored by AP, and on faces, scored by NME."""
    people = {name: result(name, ap, dataset="people") for name, ap in (("A", 0.3), ("B", 0.9))}
    faces = {
        f"{name}-faces": replace(
            result(name, 0.5, dataset="faces"), metrics={"NME": nme, "PCK@0.1": 0.5}
        )
        for name, nme in (("A", 0.08), ("B", 0.05))
    }
    tables = {"A": made_up_table(0.3), "B": made_up_table(0.9, seed=1)}
    return read_run(run_folder(tmp_path / "mixed", {**people, **faces}, tables))


def test_each_data_set_is_compared_by_its_own_number(mixed: Run) -> None:
    found = differences_of(mixed, "A").differences
    assert [(each.metric, each.place["dataset"]) for each in found] == [
        ("AP", "people"),
        ("NME", "faces"),
    ]
    assert [each.difference for each in found] == pytest.approx([0.6, -0.03])
    assert all(each.is_better and each.reason is None for each in found)
    claims = difference_claims(mixed, "A")
    assert [(claim.id, claim.direction) for claim in claims] == [
        ("B against A in AP", "greater"),
        ("B against A in NME", "less"),
    ]
    (alone,) = differences_of(mixed, "A", "PCK@0.1").differences[1:]
    assert alone.metric == "PCK@0.1"


def test_a_table_of_differences_has_a_part_for_each_number(mixed: Run) -> None:
    text = text_of(difference_table(differences_of(mixed, "A"), 120))
    assert text.count("Against A") == 2
    assert "NME  baseline" in text and "n/c" not in text
    drawing = differences_drawing(differences_of(mixed, "A"), [c.result for c in mixed.cells])
    assert drawing is not None and len(drawing.panels) == 2


def test_a_pivot_shows_each_data_set_by_its_own_number(mixed: Run) -> None:
    pivot = pivot_runs([mixed.folder], PivotRequest(rows=("checkpoint",), columns=("dataset",)))
    assert pivot.columns == ("people AP", "faces NME")
    assert [[entry and entry.best for entry in row.entries] for row in pivot.rows] == [
        [False, False],
        [True, True],
    ]
    alone = replace(mixed, cells=tuple(c for c in mixed.cells if "NME" in c.result.metrics))
    request = PivotRequest(rows=("dataset", "checkpoint"))
    faces = run_folder(mixed.folder.parent / "faces", {c.id: c.result for c in alone.cells})
    assert pivot_runs([faces], request).columns == ("64x48 NME",)
    assert pivot_runs([faces], replace(request, metrics=("NME",))).columns == ("64x48",)


def test_the_other_way_round_is_the_same_with_its_sign_turned(two: Run) -> None:
    one, other = (by_cell(differences_of(two, name).differences) for name in "AB")
    there, back = one["B-gt"], other["A-gt"]
    assert there.low is not None and back.high is not None
    assert there.difference == pytest.approx(-(back.difference or 0))
    assert there.low == pytest.approx(-back.high)
    assert back.is_better is False


def test_a_verdict_a_table_and_a_difference_are_one_statistic(tmp_path: Path) -> None:
    cells = {"a": result("A", 0.3), "b": result("B", 0.9)}
    tables = {"a": made_up_table(0.3), "b": made_up_table(0.9, seed=1)}
    run = read_run(run_folder(tmp_path, cells, tables))
    (difference,) = differences_of(run, "A").differences
    judged = replace(run, record=replace(run.record, claims=difference_claims(run, "A")))
    (verdict,) = verdicts_of(judged)
    asked = Subtraction("AP", (0, "b"), (0, "a"), 0.6)
    (chance,) = chance_of([run], [asked])
    ends = difference.low, difference.high, difference.p_holm
    assert ends == (verdict.low, verdict.high, verdict.p_holm)
    assert ends == (chance.low, chance.high, chance.p_holm)
    assert verdict.verdict == "supported"


def test_other_protocols_and_failures_say_why_there_is_none(tmp_path: Path) -> None:
    cells = {
        "a": result("A"),
        "b": result("B", flip_test=False),
        "c": result("C", None),
        "d": result("D", None, size=None, policy=None),
    }
    run = read_run(run_folder(tmp_path, cells))
    found = {each.checkpoint: each for each in differences_of(run, "A").differences}
    assert found["B"].reason == "the protocols differ in flip_test (False / True)"
    assert (found["C"].reason, found["D"].reason) == ("C failed", "D failed")
    assert all(each.difference is None for each in found.values())


def test_what_belongs_to_a_checkpoint_may_differ_and_is_said(tmp_path: Path) -> None:
    cells = {
        "a": result("A"),
        "b": result("B", decoder="dark", engine="onnxruntime", size=InputSize(128, 96)),
    }
    own = replace(cells["b"].checkpoint, trained_size=InputSize(128, 96))
    cells["b"] = replace(cells["b"], checkpoint=own)
    (found,) = differences_of(read_run(run_folder(tmp_path, cells)), "A").differences
    assert found.difference == 0.0
    assert found.differing == (
        "size (128x96 / 64x48)",
        "decoder (dark / quarter)",
        "engine (onnxruntime / torch)",
    )


def test_the_baseline_is_the_first_or_one_that_is_there() -> None:
    assert baseline_of(["A", "B"], None) == "A"
    assert baseline_of(["A", "B"], "B") == "B"
    with pytest.raises(UsageError, match="no checkpoint 'best-1'") as caught:
        baseline_of(["best-2", "last"], "best-1")
    assert "best-2" in (caught.value.hint or "")


def test_differences_are_kept_in_the_run(two: Run) -> None:
    found = differences_of(two, "A")
    assert read_differences(two.folder) is None
    write_differences(two.folder, found)
    assert read_differences(two.folder) == found
