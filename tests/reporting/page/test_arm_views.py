"""Trained arms on the page: means over seeds, and checkpoints that labels tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from small_store import result, run_folder

from posebench.reporting.page.arm_views import arms_figure
from posebench.reporting.page.pairs import protocol_groups
from posebench.results.store import read_run

SCORES = {"heatmap": [0.4, 0.5], "simcc": [0.3, None]}


def figure_of_run(folder: Path, seeds: int = 2) -> Any:
    cells, labels = {}, {}
    for arm, scores in SCORES.items():
        for seed, ap in enumerate(scores[:seeds]):
            cells[f"{arm}{seed}"] = result(f"{arm}-{seed}", ap)
            labels[f"{arm}{seed}"] = {"arm": arm, "seed": str(seed)}
    cells["longer"] = result("heatmap-longer", 0.8)
    labels["longer"] = {"arm": "heatmap", "seed": "0", "budget": "2x"}
    (group,) = protocol_groups(read_run(run_folder(folder, cells, labels=labels)).cells)
    return arms_figure(group)


def test_means_over_seeds_and_what_was_trained_longer_apart(tmp_path: Path) -> None:
    figure = figure_of_run(tmp_path)
    assert [[cell.text for cell in row] for row in figure.table.rows] == [
        ["heatmap", "heatmap", "", "45.0", "7.1", "2"],
        ["simcc", "simcc", "", "–", "–", "2"],
        ["heatmap", "heatmap", "2x", "80.0", "–", "1"],
    ]
    assert [column.header for column in figure.table.columns][:3] == ["arm", "paradigm", "budget"]
    (panel,) = figure.panels
    assert "heatmap · 1x at heatmap: AP 45.0" in panel.drawing
    assert {entry.label for entry in figure.legend} >= {"heatmap · 1x", "heatmap · 2x"}


def test_one_seed_has_no_mean(tmp_path: Path) -> None:
    assert figure_of_run(tmp_path, seeds=1) is None


def test_cells_of_several_engines_stand_apart(tmp_path: Path) -> None:
    cells = {
        f"{engine}{seed}": result(f"heatmap-{seed}", 0.4 + seed / 10, engine=engine)
        for engine in ("torch", "onnxruntime")
        for seed in (0, 1)
    }
    labels = {name: {"arm": "heatmap", "seed": name[-1]} for name in cells}
    (group,) = protocol_groups(read_run(run_folder(tmp_path, cells, labels=labels)).cells)
    figure = arms_figure(group)
    assert figure is not None
    assert [row[2].text for row in figure.table.rows] == ["torch", "onnxruntime"]
    assert [row[3].text for row in figure.table.rows] == ["45.0", "45.0"]
