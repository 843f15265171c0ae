"""Pairs of any two checkpoints: which are compared by default, on request, and what is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_store import made_up_table, result, run_folder

from posebench.errors import UsageError
from posebench.judging.differences import differences_of
from posebench.reporting.page.comparisons import Comparison, Wish, compared, difference_table
from posebench.reporting.page.pairs import (
    incomparable_pairs,
    matched_pairs,
    pair_title,
    protocol_groups,
    shown_pairs,
    two_best,
)
from posebench.results.cell import CellResult
from posebench.results.differences import write_differences
from posebench.results.store import read_run


def of(paradigm: str, ap: float, **changes: object) -> CellResult:
    made = result(f"{paradigm}-s", ap, **changes)
    return replace(made, checkpoint=replace(made.checkpoint, paradigm=paradigm, spec=None))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cells = {"c": of("regression", 0.3), "a": of("heatmap", 0.5), "b": of("simcc", 0.4)}
    return run_folder(tmp_path, cells, labels={name: {"pair": "s"} for name in cells})


def foreign(folder: Path, *, flips: tuple[bool, ...] = (True, True, True)) -> Path:
    """Write a run of three heatmap checkpoints that share no label, backbone or size."""
    cells = {}
    for place, (name, ap) in enumerate((("one", 0.5), ("two", 0.7), ("three", 0.6))):
        made = result(name, ap, flip_test=flips[place])
        facts = replace(made.checkpoint, backbone=f"b{place}", paradigm="heatmap")
        cells[name] = replace(made, checkpoint=facts)
    tables = {"one": made_up_table(0.5), "two": made_up_table(0.9, 1), "three": made_up_table(0.6)}
    return run_folder(folder, cells, tables)


def comparison_of(folder: Path, wish: Wish | None = None) -> Comparison:
    run = read_run(folder)
    return compared(run, protocol_groups(run.cells), wish or Wish())


def names_of(comparison: Comparison) -> list[tuple[str, str]]:
    return [(row.difference.checkpoint, row.difference.baseline) for row in comparison.rows]


def test_each_two_of_three_paradigms_are_a_pair(folder: Path) -> None:
    groups = protocol_groups(read_run(folder).cells)
    pairs = matched_pairs(groups)
    assert [pair.names for pair in pairs] == [
        ("heatmap-s", "simcc-s"),
        ("heatmap-s", "regression-s"),
        ("simcc-s", "regression-s"),
    ]
    assert pair_title(pairs[0]) == "simcc-s against heatmap-s · 64x48 native · protocol A"
    assert incomparable_pairs(groups) == ()
    table = difference_table(comparison_of(folder))
    assert table is not None
    assert [column.header for column in table.columns] == [
        "checkpoint", "difference", "told apart", "against", "AP", "other AP", "pair",
    ]  # fmt: skip
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["simcc-s", "-10.0", "–", "heatmap-s", "40.0", "50.0", "s"],
        ["regression-s", "-20.0", "–", "heatmap-s", "30.0", "50.0", "s"],
        ["regression-s", "-10.0", "–", "simcc-s", "30.0", "40.0", "s"],
    ]
    assert table.caption.endswith("In all rows: size 64x48, policy native, protocol A.")


def test_without_paradigms_to_match_the_two_best_are_compared_and_said(tmp_path: Path) -> None:
    found = comparison_of(foreign(tmp_path))
    assert found.said == "The two of the highest AP: two and three."
    assert names_of(found) == [("three", "two")]
    (row,) = found.rows
    assert row.difference.told_apart is True
    assert row.difference.low is not None and row.difference.low < -0.1


def test_trained_arms_are_paired_by_seed_and_budget(tmp_path: Path) -> None:
    cells, labels = {}, {}
    for arm, paradigm, ap in (("wide", "heatmap", 0.5), ("deep", "simcc", 0.4)):
        for seed, more in (("0", {}), ("1", {}), ("0", {"budget": "2x"})):
            name = "-".join((arm, seed, *more.values()))
            made = of(paradigm, ap + 0.1 * len(more) + 0.01 * int(seed))
            cells[name] = replace(made, checkpoint=replace(made.checkpoint, name=name))
            labels[name] = {"arm": arm, "seed": seed, **more}
    del cells["deep-0-2x"]
    found = comparison_of(run_folder(tmp_path / "both", cells, labels=labels))
    assert names_of(found) == [("deep-0", "wide-0"), ("deep-1", "wide-1")]
    assert found.said.endswith("what other seeds would do is for the claims to say.")
    # Of one paradigm: not the longest trained, nor the best seed of each arm.
    cells["deep-0"] = replace(cells["deep-0"], metrics={"AP": 0.59})
    alike = {
        name: replace(each, checkpoint=replace(each.checkpoint, paradigm="heatmap"))
        for name, each in cells.items()
    }
    found = comparison_of(run_folder(tmp_path / "one", alike, labels=labels))
    assert names_of(found) == [("wide-0", "deep-0")]
    assert found.said.startswith(
        "The best two of one seed, data and budget: deep-0 and wide-0. Each row is of one training"
    )
    # Without two of one seed, those of the highest AP, which the page says.
    seeds = {name: alike[name] for name in ("wide-0", "wide-1")}
    found = comparison_of(run_folder(tmp_path / "seeds", seeds, labels=labels))
    assert found.said.startswith("The two of the highest AP: wide-1 and wide-0. Each row")


def test_a_trained_checkpoint_is_held_against_the_best_published_one(tmp_path: Path) -> None:
    cells, labels = {}, {}
    for place, (name, ap) in enumerate(
        (("mine-0", 0.7), ("mine-1", 0.69), ("worse", 0.5), ("better", 0.6))
    ):
        made = result(name, ap)
        facts = replace(made.checkpoint, backbone=f"b{place}", paradigm="heatmap")
        cells[name] = replace(made, checkpoint=facts)
        labels[name] = {"arm": "mine", "seed": name[-1]} if "mine" in name else {}
    found = comparison_of(run_folder(tmp_path, cells, labels=labels))
    assert names_of(found) == [("better", "mine-0")]
    assert found.said.startswith(
        "The best trained here and the best of the others, by AP: mine-0 and better. Each row"
    )


def test_pairs_of_data_without_ap_are_of_its_main_number(tmp_path: Path) -> None:
    cells = {}
    for place, (name, nme) in enumerate((("one", 0.06), ("two", 0.04), ("three", 0.05))):
        made = result(name, metrics={"NME": nme})
        cells[name] = replace(made, checkpoint=replace(made.checkpoint, backbone=f"b{place}"))
    found = comparison_of(run_folder(tmp_path / "faces", cells))
    assert found.said == "The two of the lowest NME: two and three."
    (row,) = found.rows
    assert row.difference.reason is None
    assert row.difference.difference == pytest.approx(0.01)
    table = difference_table(found)
    assert table is not None and "AP" not in table.caption and "of NME." in table.caption
    assert {"NME", "other NME"} <= {column.header for column in table.columns}
    alone = comparison_of(run_folder(tmp_path / "one", {"one": cells["one"]}))
    assert alone.said == "There are no two checkpoints with NME to compare."


def test_two_best_of_other_protocols_are_not_subtracted(tmp_path: Path) -> None:
    run = read_run(foreign(tmp_path, flips=(True, False, True)))
    # One protocol has two checkpoints: those.
    assert [pair.names for pair in two_best(protocol_groups(run.cells))] == [("three", "one")]
    alone = replace(run, cells=run.cells[:2])
    groups = protocol_groups(alone.cells)
    (pair,) = two_best(groups)
    assert (pair.names, pair.differing) == (("two", "one"), ("flip_test",))
    assert pair_title(pair).endswith("protocol B / A · not comparable: other flip_test")
    table = difference_table(compared(alone, groups, Wish()))
    assert table is not None
    (texts,) = [[cell.text for cell in row] for row in table.rows]
    assert texts[1:3] == ["–", "n/c"]
    assert texts[-1] == "the protocols differ in flip_test"
    assert "No two cells can be subtracted" in table.caption


def test_a_reader_may_ask_for_any_pair_or_baseline(tmp_path: Path) -> None:
    folder = foreign(tmp_path)
    assert names_of(comparison_of(folder, Wish(pair=("three", "one")))) == [("one", "three")]
    against = comparison_of(folder, Wish(baseline="three"))
    assert sorted(names_of(against)) == [("one", "three"), ("two", "three")]
    assert against.said == "Every other checkpoint against three."
    with pytest.raises(UsageError, match="no checkpoint 'thre'") as caught:
        comparison_of(folder, Wish(baseline="thre"))
    assert "three" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="twice"):
        comparison_of(folder, Wish(pair=("one", "one")))


def test_the_baseline_of_an_evaluation_is_the_pages(tmp_path: Path) -> None:
    folder = foreign(tmp_path)
    kept = differences_of(read_run(folder), "two")
    write_differences(folder, kept)
    found = comparison_of(folder)
    assert "two, the baseline" in found.said
    assert tuple(row.difference for row in found.rows) == kept.differences
    # Its intervals are those that a reader would get for the same baseline.
    again = comparison_of(folder, Wish(baseline="two"))
    assert [row.difference for row in again.rows] == [row.difference for row in found.rows]


def test_a_single_checkpoint_has_nothing_to_compare(tmp_path: Path) -> None:
    found = comparison_of(run_folder(tmp_path, {"a": result()}))
    assert found.said == "There are no two checkpoints with AP to compare."
    assert difference_table(found) is None


def test_pairs_that_can_be_compared_are_looked_at_first(tmp_path: Path) -> None:
    folder = foreign(tmp_path, flips=(True, False, True))
    pairs = comparison_of(folder, Wish(baseline="three")).pairs
    assert {pair.names[1]: bool(pair.differing) for pair in pairs} == {"one": False, "two": True}
    assert [pair.names[1] for pair in shown_pairs(pairs, 6)] == ["one"]
    only = [pair for pair in pairs if pair.differing]
    assert shown_pairs(only, 6) == only
