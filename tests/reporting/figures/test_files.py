"""Figures as files: what they name, in which formats, and what cannot be drawn."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from drawn import HOSTILE, PAIR, PROTOCOL, cell, results_file, svg_texts, svg_titles
from small_speed import SPEED
from small_store import result, run_folder
from typer.testing import CliRunner

from posebench.cli import app
from posebench.cli.plot import KINDS
from posebench.errors import DataError, SpecError, UsageError
from posebench.reporting.figures import RUN_FIGURES
from posebench.reporting.figures.files import plot_curves, plot_run
from posebench.reporting.figures.keypoints import keypoints_drawing
from posebench.reporting.figures.probes import PROBE_FIGURES
from posebench.reporting.figures.style import BLUE, COLUMN_WIDTH, VERMILION
from posebench.reporting.figures.values import matched_panels
from posebench.results.cell import CellFinding, RunSettings, write_results
from posebench.results.reading import ReadCell


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


def test_resolution_names_sizes_checkpoints_policies_and_protocol(tmp_path):
    out = tmp_path / "plot.svg"
    plot_run(results_file(tmp_path, PAIR), "resolution", out)
    texts = svg_texts(out)
    expected = {
        "AP (points)",
        "input size (height × width, px)",
        "64x48",
        "128x96",
        "heatmap-s · heatmap",
        "simcc-s · SimCC",
        "native policy",
        "resample policy",
        "unsupported at this size",
        "trained size",
        "synthetic: 150 images, 339 instances · boxes gt · flip test · posebench, COCO rules",
    }
    assert expected <= set(texts)
    assert not {"pool policy", "interpolate policy", "failed", "skipped"} & set(texts)
    drawn = out.read_text(encoding="utf-8")
    assert BLUE in drawn
    assert VERMILION in drawn
    assert svg_titles(out) == [
        "heatmap-s, 64x48 native: AP 10.0",
        "heatmap-s, 128x96 native: AP 50.0",
        "simcc-s, 128x96 native: AP 40.0",
        "simcc-s, 64x48 native: unsupported",
        "heatmap-s, 64x48 resample: AP 40.0",
        "heatmap-s, 128x96 native: AP 50.0",
        "simcc-s, 64x48 resample: AP 30.0",
        "simcc-s, 128x96 native: AP 40.0",
    ]


def test_a_pair_shares_a_panel_and_rivals_do_not():
    def panels(*cells):
        return [len(panel) for panel in matched_panels([ReadCell(one) for one in cells])]

    pair = cell("heatmap-s", "64x48"), cell("simcc-s", "64x48")
    assert panels(*pair) == [2]
    assert panels(*pair, cell("heatmap-other", "64x48")) == [2, 1]
    # Without any pair they come together.
    assert panels(*(cell(f"simcc-{n}", "64x48") for n in range(10))) == [8, 2]


def test_checkpoints_that_are_no_pair_share_the_panel_of_keypoints(tmp_path):
    keypoints = {"nose": 0.9}
    cells = [ReadCell(cell(f"heatmap-{n}", "128x96"), keypoints) for n in range(2)]
    drawing = keypoints_drawing(cells)
    assert [panel.title for panel in drawing.panels] == [
        "heatmap-0 and heatmap-1 · ResNet-18 · trained at 128x96"
    ]


def test_cells_that_failed_are_said_to_have_failed(tmp_path):
    out = tmp_path / "plot.svg"
    lost = cell("simcc-t", None, ap=None, status="failed", reason="unreadable")
    failed = cell("simcc-s", "192x144", ap=None, status="failed", reason="no memory")
    plot_run(results_file(tmp_path, [*PAIR, failed, lost]), "resolution", out)
    texts = svg_texts(out)
    assert "failed" in texts
    assert any("1 without a size left out" in text for text in texts)


def test_a_figure_names_what_may_move_its_numbers(tmp_path):
    out = tmp_path / "plot.svg"
    odd = CellFinding("data", "warning", "box-empty", "Persons whose `bbox` has no area: 1.", 11)
    note = CellFinding("data", "note", "images-unchecked", "No images.")
    cells = [dataclasses.replace(each, findings=(odd, note)) for each in PAIR]
    plot_run(results_file(tmp_path, cells), "resolution", out)
    assert any(text.endswith("warnings: box-empty") for text in svg_texts(out))
    assert "warnings: box-empty" in out.read_text(encoding="utf-8").partition("aria-label")[2]
    plot_run(results_file(tmp_path, PAIR), "resolution", out)
    assert "warnings" not in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
def test_the_same_results_give_the_same_file(tmp_path, suffix):
    results = results_file(tmp_path, PAIR)
    for name in ("one", "two"):
        plot_run(results, "resolution", (tmp_path / name).with_suffix(suffix))
    one, two = ((tmp_path / name).with_suffix(suffix).read_bytes() for name in ("one", "two"))
    assert one == two


def test_the_suffix_says_the_format(tmp_path):
    results = results_file(tmp_path, PAIR)
    for name, start in (("p.PNG", b"\x89PNG\r\n\x1a\n"), ("p.pdf", b"%PDF-"), ("p.svg", b"<?xml")):
        out = tmp_path / name[2:] / name
        plot_run(results, "resolution", out)
        assert out.read_bytes().startswith(start)
        assert [path.name for path in out.parent.iterdir()] == [name]


def test_bitmaps_have_the_resolution_of_print_and_the_width_of_a_column(tmp_path):
    out = tmp_path / "plot.png"
    plot_run(results_file(tmp_path, PAIR[:2]), "resolution", out)
    width = int.from_bytes(out.read_bytes()[16:20], "big")
    assert width == round(300 * COLUMN_WIDTH)


def test_texts_of_a_pdf_are_text_in_an_embedded_font(tmp_path):
    out = tmp_path / "plot.pdf"
    plot_run(results_file(tmp_path, PAIR), "resolution", out)
    content = out.read_bytes()
    assert b"DejaVuSans" in content
    assert b"/FontFile2" in content
    assert b"CreationDate" not in content


def test_curves_name_runs_pairs_and_units(tmp_path):
    curve_file(tmp_path, "heatmap-s")
    curve_file(tmp_path, "simcc-l", points=2, pair="l")
    out = tmp_path / "curves.svg"
    plot_curves([tmp_path], out)
    texts = svg_texts(out)
    expected = {
        "AP (points) on validation data without flip test; losses in their own units",
        "AP (points)",
        "training loss",
        "samples seen (thousands)",
        "heatmap",
        "SimCC",
        "pair s",
        "pair l",
        "heatmap-s 33.3",
        "simcc-l 22.2",
    }
    assert expected <= set(texts)


def test_curves_of_a_real_training_run_are_read(tmp_path):
    """A run of one evaluation draws one point."""
    out = tmp_path / "curves.svg"
    plot_curves([curve_file(tmp_path, "simcc-s", points=1)], out)
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
        plot_run(path, "resolution", tmp_path / "plot.svg")
    assert not (tmp_path / "plot.svg").exists()


def test_only_cells_without_a_size_are_nothing_to_plot(tmp_path):
    lost = cell("simcc-t", None, ap=None, status="failed")
    with pytest.raises(UsageError, match="no result that has an input size"):
        plot_run(results_file(tmp_path, [lost]), "resolution", tmp_path / "plot.svg")


def test_files_that_are_no_curves_are_refused(tmp_path):
    out = tmp_path / "plot.svg"
    with pytest.raises(UsageError, match="no training curve"):
        plot_curves([], out)
    with pytest.raises(UsageError, match="no training curve"):
        plot_curves([tmp_path], out)
    with pytest.raises(DataError, match="holds no evaluation"):
        plot_curves([curve_file(tmp_path, "simcc-s", points=0)], out)
    with pytest.raises(DataError, match="is no training curve"):
        plot_curves([curve_file(tmp_path, "simcc-s", curve=[{"samples": 1}])], out)
    with pytest.raises(DataError, match="There is no training curve"):
        plot_curves([tmp_path / "absent.curve.json"], out)
    assert not out.exists()


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"neither \.svg nor \.pdf nor \.png"):
        plot_run(results_file(tmp_path, PAIR), "resolution", tmp_path / "plot.eps")


def test_plotting_loads_no_torch_and_no_window_toolkit(tmp_path):
    results = results_file(tmp_path, PAIR)
    code = (
        "import sys; from pathlib import Path\n"
        "from posebench.reporting.figures.files import plot_run\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plot_run(Path(sys.argv[1]), 'resolution', Path(sys.argv[2]))\n"
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


def test_the_command_offers_every_figure():
    others = ("difference", "verdicts", "means", "curve")
    assert (*RUN_FIGURES, "history", *PROBE_FIGURES, *others) == KINDS


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
    for kind in ("scaling", "pareto", "keypoints"):
        out = tmp_path / f"{kind}.svg"
        plot_run(folder, kind, out)
        assert any("people: 150 images" in text for text in svg_texts(out))
        # Only the best of equal cost has a name beside its mark; the legend names all.
        text = " ".join(svg_texts(out))
        assert all(name in text for name in sizes)
        named = [name for name in sizes if name in svg_texts(out)]
        assert named == {"pareto": ["simcc-m"], "scaling": list(sizes), "keypoints": []}[kind]
    assert "left wrist" in svg_texts(tmp_path / "keypoints.svg")
    assert "heatmap-m, left wrist: 50.0" in svg_titles(tmp_path / "keypoints.svg")


def test_latency_has_a_panel_where_it_was_measured(tmp_path: Path) -> None:
    fast, slow = result("simcc-s", 0.6, speed=SPEED), result("simcc-s", 0.5, engine="eager")
    run = run_folder(tmp_path / "run", {"a": fast, "b": replace(slow, speed=SPEED)})
    plot_run(run, "pareto", tmp_path / "pareto.svg")
    text = (tmp_path / "pareto.svg").read_text(encoding="utf-8")
    assert "milliseconds for one crop" in text
    assert ">simcc-s torch fp32<" in text
    without = run_folder(tmp_path / "without", {"a": result()})
    plot_run(without, "pareto", tmp_path / "without.svg")
    assert "milliseconds" not in (tmp_path / "without.svg").read_text(encoding="utf-8")


def test_figures_of_a_run_without_what_they_show(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", {"a": result(ap=None)})
    for kind, said in (
        ("scaling", "at its trained size"),
        ("pareto", "with AP"),
        ("keypoints", "posebench run keeps them"),
    ):
        with pytest.raises(UsageError, match=said):
            plot_run(folder, kind, tmp_path / "x.svg")


def test_results_from_before_intervals_are_still_drawn(tmp_path):
    old = tmp_path / "old.json"
    write_results(old, PAIR, RunSettings(1, 8, 1, 0, "cpu"))
    value = json.loads(old.read_text(encoding="utf-8"))
    for entry in value["results"]:
        del entry["intervals"], entry["official"]
    old.write_text(json.dumps({**value, "schema_version": 1}), encoding="utf-8")
    plot_run(old, "resolution", tmp_path / "plot.svg")
    assert "heatmap-s, 64x48 native: AP 10.0" in svg_titles(tmp_path / "plot.svg")


def test_other_data_sets_and_flip_tests_have_panels_of_their_own(tmp_path: Path) -> None:
    crowd = replace(PROTOCOL, dataset="crowd")
    flipped = replace(PROTOCOL, flip_test=not PROTOCOL.flip_test)
    cells = [*PAIR, *(replace(c, protocol=p) for c in PAIR for p in (crowd, flipped))]
    out = tmp_path / "out.svg"
    plot_run(results_file(tmp_path, cells), "resolution", out)
    panels = [e for e in ElementTree.parse(out).iter() if e.get("id", "").startswith("axes_")]
    assert len(panels) == 3 * len({c.policy for c in PAIR})
    assert "crowd" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", list(RUN_FIGURES))
def test_no_name_becomes_markup_or_mathematics(tmp_path: Path, kind: str) -> None:
    made = result("heatmap-s", 0.5, gflops=0.1)
    hostile = replace(made, checkpoint=replace(made.checkpoint, name=HOSTILE, parameters=10**6))
    cells = {"one": hostile}
    for text in ("w4", "prune-50"):
        cells[text] = replace(hostile, protocol=replace(hostile.protocol, transform=text))
    cells["blur"] = replace(hostile, protocol=replace(hostile.protocol, corruption="blur-3"))
    folder = run_folder(tmp_path / "run", cells, keypoints={HOSTILE: 0.5})
    out = tmp_path / "plot.svg"
    plot_run(folder, kind, out)
    assert not [n for n in ElementTree.parse(out).iter() if n.tag.endswith("script")]
    shown = " ".join([*svg_texts(out), *svg_titles(out)])
    assert "_$x^2$ <script>" in shown
    assert "\x1b" not in shown
    for suffix in (".pdf", ".png"):
        plot_run(folder, kind, out.with_suffix(suffix))


def test_another_score_is_drawn_in_its_unit(tmp_path):
    metrics = {"AP": 0.5, "median error": 0.031}
    cells = [dataclasses.replace(each, metrics=metrics) for each in PAIR if each.metrics]
    out = tmp_path / "plot.svg"
    source = results_file(tmp_path, cells)
    arguments = ["plot", str(source), "--out", str(out), "--metric", "median error"]
    for kind in ("resolution", "scaling"):
        done = CliRunner().invoke(app, [*arguments, "--kind", kind])
        assert done.exit_code == 0, done.output
        assert "median error (points)" in svg_texts(out)
        assert any("median error 3.1" in title for title in svg_titles(out))


def test_a_figure_shows_the_cells_that_are_asked_for(tmp_path):
    out = tmp_path / "plot.svg"
    source = results_file(tmp_path, PAIR)
    arguments = ["plot", str(source), "--kind", "resolution", "--out", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--only", "checkpoint=simcc-*"])
    assert done.exit_code == 0, done.output
    assert all(title.startswith("simcc-s") for title in svg_titles(out))


@pytest.mark.parametrize(
    "words", [["difference", "--metric", "AR"], ["curve", "--only", "policy=native"]]
)
def test_options_that_a_figure_does_not_take_are_refused(tmp_path, words):
    arguments = ["plot", str(tmp_path), "--out", str(tmp_path / "x.svg"), "--kind", *words]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, UsageError)


def test_the_history_of_runs_is_drawn_by_the_command(tmp_path):
    runs = [
        str(run_folder(tmp_path / name, {"heatmap-s": result("heatmap-s", ap)}))
        for name, ap in (("one", 0.4), ("two", 0.5))
    ]
    out = tmp_path / "history.svg"
    done = CliRunner().invoke(app, ["plot", *runs, "--kind", "history", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert {"heatmap-s", "AP (points)"} <= set(svg_texts(out))
