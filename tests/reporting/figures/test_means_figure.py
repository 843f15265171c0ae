"""The figure of means over seeds: points, lines and panels, and what has no mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drawn import svg_texts, svg_titles
from small_store import result, run_folder

from posebench.reporting.figures.lab.means import position_of
from posebench.results.cell import CellResult

SCORES: dict[tuple[str, str], list[float | None]] = {
    ("a", "48x48"): [0.1, 0.2, 0.3], ("a", "96x96"): [0.5, 0.5, 0.5],
    ("b", "48x48"): [0.4, None, 0.6], ("c", "48x48"): [None, None, None],
}  # fmt: skip


def run_of(folder: Path) -> Path:
    cells: dict[str, CellResult] = {}
    labels: dict[str, dict[str, str]] = {}
    for (arm, size), scores in SCORES.items():
        for dataset in ("people", "dogs"):
            for seed, ap in enumerate(scores):
                name = f"{arm}-{size}-{dataset}-{seed}"
                cells[name] = result(f"heatmap-{name}", ap, dataset=dataset)
                labels[name] = {"arm": arm, "trained": size, "seed": str(seed)}
    return run_folder(folder, cells, labels=labels)


def test_a_line_for_each_arm_and_a_panel_for_each_data_set(run: Any, tmp_path: Path) -> None:
    out, by = tmp_path / "means.svg", ("--by", "labels.arm", "--out", tmp_path / "means.svg")
    means = ("plot", run_of(tmp_path / "run"), "--kind", "means")
    assert run(*means, "--x", "labels.trained", *by).code == 0
    texts, titles = svg_texts(out), svg_titles(out)
    for said in ("people", "dogs", "48x48", "96x96", "labels.trained", "AP (points)",
                 "one value of labels.seed"):  # fmt: skip
        assert said in texts
    # Of an arm that lacks a seed there is no mean, and of one without a score nothing.
    assert {"a at 48x48: AP 20.0", "a at 96x96: AP 50.0"} <= set(titles)
    assert not any("b at" in title or "c at" in title for title in titles)
    assert "b" in texts and "c" not in texts


def test_numbers_of_networks_and_plain_texts_are_axes_too(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "means.svg"
    means = ("plot", run_of(tmp_path / "run"), "--kind", "means", "--out", out)
    by = ("--by", "labels.arm,labels.trained", "--only", "dataset=dogs")
    assert run(*means, "--x", "params M", *by).code == 0
    assert any(title.startswith("a · 96x96 at ") for title in svg_titles(out))
    assert run(*means, "--x", "labels.arm", "--by", "labels.trained").code == 0
    assert {"a", "b", "48x48"} <= set(svg_texts(out))


def test_a_line_of_several_paradigms_or_of_the_usual_budget_is_called_so(
    run: Any, tmp_path: Path
) -> None:
    cells, labels = dict[str, CellResult](), dict[str, dict[str, str]]()
    for paradigm, more in (("heatmap", {}), ("simcc", {}), ("heatmap", {"budget": "2x"})):
        name = "-".join((paradigm, *more.values()))
        made = result(name, 0.4)
        cells[name] = replace(made, checkpoint=replace(made.checkpoint, paradigm=paradigm))
        labels[name] = {"arm": paradigm, "seed": "0", **more}
    folder, out = run_folder(tmp_path / "run", cells, labels=labels), tmp_path / "m.svg"
    options = ("--x", "labels.arm", "--by", "labels.budget", "--out", out)
    assert run("plot", folder, "--kind", "means", *options).code == 0
    assert {"1x", "2x · heatmap"} <= set(svg_texts(out))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "needs --x"),
        (("--x", "labels.arn"), "no result has the field 'labels.arn'"),
        (("--x", "labels.arm", "--by", "labels.x"), "no result has the field 'labels.x'"),
        (("--x", "labels.arm"), "add a field that differs to --by: labels.trained"),
        (
            ("--x", "labels.trained", "--by", "labels.arm", "--metric", "ECE"),
            "no result with the score",
        ),
    ],
)
def test_what_cannot_be_drawn(
    run: Any, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    folder, out = run_of(tmp_path / "run"), tmp_path / "m.svg"
    done = run("plot", folder, "--kind", "means", "--out", out, *options)
    assert done.code == 2 and said in " ".join(done.err.lower().split())


def test_options_of_means_are_for_means(run: Any, tmp_path: Path) -> None:
    folder, out = run_of(tmp_path / "run"), tmp_path / "m.svg"
    done = run("plot", folder, "--kind", "scaling", "--x", "size", "--out", out)
    assert done.code == 2 and "--x is for --kind means alone" in done.err


@pytest.mark.parametrize(
    ("text", "number"),
    [("96x64", 6144), ("1.5x", 1.5), ("0.23", 0.23), ("-2", -2), ("dark", None), ("", None)],
)
def test_texts_that_stand_for_numbers(text: str, number: float | None) -> None:
    assert position_of(text) == number
