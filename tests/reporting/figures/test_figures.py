from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import small_run
from small_speed import SPEED
from small_store import result, run_folder
from typer.testing import CliRunner

from posebench.cli import app
from posebench.errors import DataError, PosebenchError, SpecError, UsageError
from posebench.networks.sizes import InputSize
from posebench.reporting.figures.resolution import plot_resolution
from posebench.reporting.figures.run_figures import plot_keypoints, plot_pareto, plot_scaling
from posebench.reporting.figures.training import plot_training_curves
from posebench.results.cell import CellResult, CheckpointFacts, RunSettings, write_results

pytest.importorskip("matplotlib", reason="needs the extra `plots`")

TRAINED = InputSize(128, 96)
BLUE, VERMILION = "#0072b2", "#d55e00"
PROTOCOL = replace(small_run.PROTOCOL, dataset="synthetic")


def cell(name, size, policy="native", ap: float | None = 0.5, **changes):
    paradigm = name.partition("-")[0]
    facts = CheckpointFacts(name, name, "posebench", paradigm, "ResNet-18", TRAINED, 10**6)
    metrics = None if ap is None else {"AP": ap}
    status = changes.pop("status", "ok" if ap is not None else "unsupported")
    parsed = None if size is None else InputSize.parse(size)
    return CellResult(facts, parsed, policy, status, PROTOCOL, metrics=metrics, **changes)


PAIR = (
    cell("heatmap-s", "64x48", ap=0.1),
    cell("heatmap-s", "128x96", ap=0.5),
    cell("heatmap-s", "64x48", "resample", 0.4),
    cell("simcc-s", "64x48", ap=None, reason="locked"),
    cell("simcc-s", "128x96", ap=0.4),
    cell("simcc-s", "64x48", "resample", 0.3),
)


def results_file(folder: Path, cells) -> Path:
    path = folder / "results.json"
    write_results(path, cells, RunSettings(1, 8, 1, 0, "cpu"))
    return path


def curve_file(folder: Path, name: str, points=3, pair="s", **changes) -> Path:
    record = {
        "recipe": {
            "name": name,
            "pair": pair,
            "model": {"codec": {"kind": name.partition("-")[0]}},
        },
        "curve": [
            {"samples": 1000 * n, "loss": 4.0 / n, "AP": 0.111 * n} for n in range(1, points + 1)
        ],
        **changes,
    }
    path = folder / f"{name}.curve.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def svg_texts(path: Path) -> list[str]:
    root = ElementTree.parse(path).getroot()
    assert root.tag.endswith("svg")
    return ["".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")]


def test_resolution_names_sizes_checkpoints_policies_and_protocol(tmp_path):
    out = tmp_path / "plot.svg"
    plot_resolution(results_file(tmp_path, PAIR), out)
    texts = svg_texts(out)
    expected = {
        "AP (points)",
        "input size (height x width, px)",
        "64x48",
        "128x96",
        "heatmap-s",
        "simcc-s",
        "trained at 128x96",
        "heatmap",
        "simcc",
        "native",
        "resample",
        "unsupported at this size",
        "trained size",
        "synthetic: 150 images, 339 instances · boxes gt · flip test · posebench, COCO rules",
    }
    assert expected <= set(texts)
    assert not {"pool", "interpolate", "failed", "skipped"} & set(texts)
    drawn = out.read_text(encoding="utf-8")
    assert BLUE in drawn
    assert VERMILION in drawn
    assert 'id="unsupported simcc-s_64x48_native"' in drawn
    assert drawn.count('id="unsupported ') == 1


def test_a_pair_shares_a_panel_and_rivals_do_not(tmp_path):
    def panels(cells):
        out = tmp_path / "plot.svg"
        plot_resolution(results_file(tmp_path, cells), out)
        return svg_texts(out).count("input size (height x width, px)")

    assert panels(PAIR) == 1
    assert panels([*PAIR, cell("heatmap-other", "64x48")]) == 2
    assert panels([*PAIR, *(cell(f"simcc-{n}", "64x48") for n in range(6))]) == 7


def test_cells_that_failed_are_said_to_have_failed(tmp_path):
    out = tmp_path / "plot.svg"
    lost = cell("simcc-t", None, ap=None, status="failed", reason="unreadable")
    failed = cell("simcc-s", "192x144", ap=None, status="failed", reason="no memory")
    plot_resolution(results_file(tmp_path, [*PAIR, failed, lost]), out)
    texts = svg_texts(out)
    assert "failed" in texts
    assert any("1 without a size left out" in text for text in texts)


def test_the_same_results_give_the_same_file(tmp_path):
    results = results_file(tmp_path, PAIR)
    for name in ("one.svg", "two.svg"):
        plot_resolution(results, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_png_by_suffix(tmp_path):
    out = tmp_path / "new" / "plot.PNG"
    plot_resolution(results_file(tmp_path, PAIR), out)
    assert out.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert [path.name for path in out.parent.iterdir()] == ["plot.PNG"]


def test_curves_name_runs_pairs_and_units(tmp_path):
    curve_file(tmp_path, "heatmap-s")
    curve_file(tmp_path, "simcc-l", points=2, pair="l")
    out = tmp_path / "curves.svg"
    plot_training_curves([tmp_path], out)
    texts = svg_texts(out)
    expected = {
        "AP (points), validation, without flip test",
        "training loss, in its paradigm's own unit",
        "samples seen (thousands)",
        "heatmap",
        "simcc",
        "pair s",
        "pair l",
        "heatmap-s 33.3",
        "simcc-l 22.2",
    }
    assert expected <= set(texts)


def test_curves_of_a_real_training_run_are_read(tmp_path):
    """A run of one evaluation draws one point."""
    out = tmp_path / "curves.svg"
    plot_training_curves([curve_file(tmp_path, "simcc-s", points=1)], out)
    assert "simcc-s 11.1" in svg_texts(out)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"results": [], "schema_version": 1}, "no result"),
        ({"results": [], "schema_version": 99}, "schema 99"),
        ({"recipe": {}, "curve": []}, "no results file"),
        ([1], "no results file"),
        ({"results": [{"size": "64x48"}], "schema_version": 1}, "result 0"),
        ({"results": [{"sise": "64x48"}], "schema_version": 1}, "Did you mean 'size'"),
    ],
)
def test_files_that_are_no_results_are_refused(tmp_path, content, complaint):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises((DataError, UsageError, SpecError), match=complaint):
        plot_resolution(path, tmp_path / "plot.svg")
    assert not (tmp_path / "plot.svg").exists()


def test_only_cells_without_a_size_are_nothing_to_plot(tmp_path):
    lost = cell("simcc-t", None, ap=None, status="failed")
    with pytest.raises(UsageError, match="no result that has an input size"):
        plot_resolution(results_file(tmp_path, [lost]), tmp_path / "plot.svg")


def test_files_that_are_no_curves_are_refused(tmp_path):
    out = tmp_path / "plot.svg"
    with pytest.raises(UsageError, match="no training curve"):
        plot_training_curves([], out)
    with pytest.raises(UsageError, match="no training curve"):
        plot_training_curves([tmp_path], out)
    with pytest.raises(DataError, match="holds no evaluation"):
        plot_training_curves([curve_file(tmp_path, "simcc-s", points=0)], out)
    with pytest.raises(DataError, match="is no training curve"):
        plot_training_curves([curve_file(tmp_path, "simcc-s", curve=[{"samples": 1}])], out)
    with pytest.raises(DataError, match="There is no training curve"):
        plot_training_curves([tmp_path / "absent.curve.json"], out)
    assert not out.exists()


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"neither \.svg nor \.png"):
        plot_resolution(results_file(tmp_path, PAIR), tmp_path / "plot.pdf")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PosebenchError, match="matplotlib") as caught:
        plot_resolution(results_file(tmp_path, PAIR), tmp_path / "plot.svg")
    assert 'pip install "posebench-pose[plots]"' in caught.value.hint


def test_plotting_loads_no_torch_and_no_window_toolkit(tmp_path):
    results = results_file(tmp_path, PAIR)
    code = (
        "import sys; from pathlib import Path\n"
        "from posebench.reporting.figures.resolution import plot_resolution\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plot_resolution(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(sorted({'torch', 'pandas', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(results), str(tmp_path / "plot.png")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_command_draws_both_kinds(tmp_path):
    results_file(tmp_path, PAIR)
    curve = curve_file(tmp_path, "heatmap-s")
    for kind, source in (("resolution", tmp_path), ("curve", curve)):
        out = tmp_path / f"{kind}.svg"
        result = CliRunner().invoke(app, ["plot", str(source), "--kind", kind, "--out", str(out)])
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(out)
        assert svg_texts(out)


def test_the_command_refuses_what_it_cannot_draw(tmp_path):
    results = str(results_file(tmp_path, PAIR))
    out = ["--out", str(tmp_path / "plot.svg")]
    wrong = CliRunner().invoke(app, ["plot", results, "--kind", "curves", *out])
    assert "Did you mean 'curve'" in str(wrong.exception)
    two = CliRunner().invoke(app, ["plot", results, results, "--kind", "resolution", *out])
    assert "draws one run" in str(two.exception)


def test_figures_of_a_run_name_what_they_show(tmp_path: Path) -> None:
    sizes = {"heatmap-s": 2e5, "heatmap-m": 9e5, "simcc-s": 1.8e5, "simcc-m": 7e5}
    cells = {
        name: replace(made, checkpoint=replace(made.checkpoint, parameters=int(parameters)))
        for index, (name, parameters) in enumerate(sizes.items())
        for made in [result(name, 0.3 + index / 10)]
    }
    folder = run_folder(tmp_path / "run", cells, keypoints={"left_wrist": 0.5, "nose": None})
    draw = {"scaling": plot_scaling, "pareto": plot_pareto, "keypoints": plot_keypoints}
    for kind, write in draw.items():
        out = tmp_path / f"{kind}.svg"
        write(folder, out)
        text = out.read_text(encoding="utf-8")
        assert "people: 150 images, boxes gt" in text
        # Only the best of equal cost are named in the pareto figure.
        named = [name for name in sizes if f">{name}" in text]
        assert named == (["simcc-m"] if kind == "pareto" else list(sizes))
    assert ">left wrist<" in (tmp_path / "keypoints.svg").read_text(encoding="utf-8")


def test_latency_has_a_panel_where_it_was_measured(tmp_path: Path) -> None:
    fast, slow = result("simcc-s", 0.6, speed=SPEED), result("simcc-s", 0.5, engine="eager")
    run = run_folder(tmp_path / "run", {"a": fast, "b": replace(slow, speed=SPEED)})
    plot_pareto(run, tmp_path / "pareto.svg")
    text = (tmp_path / "pareto.svg").read_text(encoding="utf-8")
    assert "milliseconds for one crop" in text
    assert ">simcc-s 64x48 torch fp32<" in text
    without = run_folder(tmp_path / "without", {"a": result()})
    plot_pareto(without, tmp_path / "without.svg")
    assert "milliseconds" not in (tmp_path / "without.svg").read_text(encoding="utf-8")


def test_figures_of_a_run_without_what_they_show(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", {"a": result(ap=None)})
    for write, said in (
        (plot_scaling, "at its trained size"),
        (plot_pareto, "with AP"),
        (plot_keypoints, "posebench run keeps them"),
    ):
        with pytest.raises(UsageError, match=said):
            write(folder, tmp_path / "x.svg")


def test_results_from_before_intervals_are_still_drawn(tmp_path):
    old = tmp_path / "old.json"
    write_results(old, PAIR, RunSettings(1, 8, 1, 0, "cpu"))
    value = json.loads(old.read_text(encoding="utf-8"))
    for entry in value["results"]:
        del entry["intervals"], entry["official"]
    old.write_text(json.dumps({**value, "schema_version": 1}), encoding="utf-8")
    plot_resolution(old, tmp_path / "plot.svg")
    assert "heatmap-s" in svg_texts(tmp_path / "plot.svg")


def test_other_data_sets_and_flip_tests_have_panels_of_their_own(tmp_path: Path) -> None:
    crowd = replace(PROTOCOL, dataset="crowd")
    flipped = replace(PROTOCOL, flip_test=not PROTOCOL.flip_test)
    cells = [*PAIR, *(replace(c, protocol=p) for c in PAIR for p in (crowd, flipped))]
    out = tmp_path / "out.svg"
    plot_resolution(results_file(tmp_path, cells), out)
    panels = [e for e in ElementTree.parse(out).iter() if e.get("id", "").startswith("axes_")]
    assert len(panels) == 3
    assert "crowd" in out.read_text(encoding="utf-8")
