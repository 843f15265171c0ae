"""Cells of two runs find each other by name, content, labels, or as one says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_store import made_up_table, result, run_folder

from posebench.errors import UsageError
from posebench.judging.comparison import compare_runs
from posebench.judging.pairs.partners import parse_aliases
from posebench.reporting.tables.comparison_texts import comparison_markdown
from posebench.results.cell import CellResult


def of(name: str, digest: str, ap: float = 0.5, **protocol: Any) -> CellResult:
    made = result(name, ap, **protocol)
    return replace(made, checkpoint=replace(made.checkpoint, sha256=digest))


def test_a_renamed_checkpoint_is_found_by_its_content(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": of("epoch-210", "1"), "b": of("other", "2")})
    new = run_folder(tmp_path / "new", {"x": of("best", "1"), "b": of("other", "2")})
    comparison = compare_runs(old, new, [])
    assert {cell.id: cell.state for cell in comparison.cells} == {
        "a": "unchanged",
        "b": "unchanged",
    }
    assert comparison.partners == ("epoch-210 is compared with best: the same content",)
    assert "epoch-210 is compared with best" in comparison_markdown(comparison)


def test_renamed_boxes_and_data_are_found_by_their_content(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": of("n", "1", boxes="det", boxes_sha256="d" * 64)})
    moved = of("n", "1", boxes="det-v1", boxes_sha256="d" * 64, dataset="people-copy")
    new = run_folder(tmp_path / "new", {"x": moved})
    assert [cell.state for cell in compare_runs(old, new, []).cells] == ["unchanged"]


def test_the_same_name_goes_before_the_same_content(tmp_path: Path) -> None:
    """A checkpoint that was trained on is the candidate for its own name."""
    old = run_folder(tmp_path / "old", {"best": of("best", "1"), "last": of("last", "2")})
    new = run_folder(tmp_path / "new", {"best": of("best", "2", 0.7), "last": of("last", "3", 0.6)})
    changes = {cell.id: cell.change("AP") for cell in compare_runs(old, new, []).cells}
    assert {name: each and each.candidate for name, each in changes.items()} == {
        "best": 0.7,
        "last": 0.6,
    }


def test_cells_of_each_corruption_and_transform_find_their_own(tmp_path: Path) -> None:
    ways: dict[str, dict[str, Any]] = {
        "clean": {},
        "dark": {"corruption": "dark-3"},
        "half": {"transform": "int8"},
        "parts": {"record": "coco-wholebody-hand"},
    }
    old = {way: of("v1", "1", **more) for way, more in ways.items()}
    new = {f"new {way}": of("v2", "2", 0.6, **more) for way, more in ways.items()}
    folders = run_folder(tmp_path / "old", old), run_folder(tmp_path / "new", new)
    cells = compare_runs(*folders, [], {"v1": "v2"}).cells
    assert {cell.id: cell.state for cell in cells} == dict.fromkeys(ways, "changed")


def test_labels_find_a_checkpoint_of_another_name_and_content(tmp_path: Path) -> None:
    labels = {"pair": "s", "arm": "wide"}
    old = run_folder(tmp_path / "old", {"a": of("v1", "1")}, labels={"a": labels})
    new = run_folder(tmp_path / "new", {"x": of("v2", "2", 0.6)}, labels={"x": labels})
    comparison = compare_runs(old, new, [])
    assert [cell.state for cell in comparison.cells] == ["changed"]
    assert comparison.partners == ("v1 is compared with v2: the same labels",)


def test_map_says_what_belongs_together(tmp_path: Path) -> None:
    tables = {"a": made_up_table(0.3), "b": made_up_table(0.9, seed=1)}
    cells = {"a": of("A", "1", 0.3), "b": of("B", "2", 0.9, decoder="dark")}
    run = run_folder(tmp_path / "run", cells, tables)
    comparison = compare_runs(run, run, [], parse_aliases(["A=B"]))
    assert [(cell.id, cell.state) for cell in comparison.cells] == [
        ("a", "changed"),
        ("b", "unchanged"),
    ]
    change = comparison.cells[0].change("AP")
    assert change is not None and change.difference.value == pytest.approx(0.6)
    assert change.difference.low is not None and change.difference.low > 0
    assert comparison.partners == ("A is compared with B: as --map says",)


def test_checkpoints_without_a_partner_are_named_with_the_way_out(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": of("v1", "1")})
    new = run_folder(tmp_path / "new", {"b": of("v2", "2")})
    (said,) = compare_runs(old, new, []).partners
    assert said == "only in the baseline: v1; only in the candidate: v2: --map v1=v2 compares them"


@pytest.mark.parametrize("text", ["A", "A=", "=B"])
def test_map_takes_two_names(text: str) -> None:
    with pytest.raises(UsageError, match="does not say what is compared"):
        parse_aliases([text])


def test_map_names_checkpoints_that_are_there(tmp_path: Path) -> None:
    run = run_folder(tmp_path, {"a": of("heatmap-s", "1")})
    for alias in ({"heatmap": "heatmap-s"}, {"heatmap-s": "heatmap"}):
        with pytest.raises(UsageError, match="no checkpoint 'heatmap'"):
            compare_runs(run, run, [], alias)
