"""What is odd in data and checkpoints stands wherever a number made from them is shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from small_onnx import save_heatmap
from small_run import edit_annotations, small_checkpoint

from posebench.results.store import read_run


@pytest.fixture(scope="module")
def heatmap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("weights") / "heatmap.safetensors")


@pytest.fixture
def odd_people(people: Path, tmp_path: Path) -> Path:
    """Return scenes in which every second box is empty."""
    folder = shutil.copytree(people, tmp_path / "odd")

    def clear_some(raw: Any) -> None:
        for row in raw["annotations"][::2]:
            row["bbox"] = [0, 0, 0, 0]

    edit_annotations(folder / "annotations" / "person_keypoints_val.json", clear_some)
    return folder


@pytest.fixture
def suite(odd_people: Path, heatmap: Path, tmp_path: Path) -> Path:
    path = tmp_path / "odd.yaml"
    plain = {
        "name": "odd", "description": "d", "checkpoints": [str(heatmap)],
        "datasets": [{"name": str(odd_people)}], "scoring": {"replicates": 0},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(plain))
    return path


def test_eval_says_them_above_its_table(
    run: Any, odd_people: Path, heatmap: Path, tmp_path: Path
) -> None:
    results = tmp_path / "r.json"
    done = run("eval", heatmap, "--dataset", odd_people, "--replicates", 0, "--json", results)
    assert done.code == 0
    lines = done.out.splitlines()
    (told,) = [place for place, line in enumerate(lines) if "[box-empty]" in line]
    assert told < next(place for place, line in enumerate(lines) if line.startswith("checkpoint"))
    (result,) = json.loads(results.read_text())["results"]
    (found,) = [each for each in result["findings"] if each["kind"] == "box-empty"]
    assert (found["about"], found["level"]) == ("data", "warning")
    rows = json.loads(next(odd_people.glob("annotations/*.json")).read_text())["annotations"]
    assert found["count"] == (len(rows) + 1) // 2


def test_bench_says_them(run: Any, odd_people: Path, heatmap: Path) -> None:
    quick = ("--repeats", 1, "--seconds", 0.01, "--warmup", 0, "--batch-sizes", 1)
    done = run("bench", heatmap, "--dataset", odd_people, *quick)
    assert "[box-empty]" in done.out.partition("checkpoint")[0]
    done = run("bench", heatmap, "--dataset", odd_people, *quick, "--format", "md")
    assert done.out.startswith("- warning: ") and "[box-empty]" in done.out.splitlines()[0]


def test_a_stored_run_says_them(run: Any, suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run("run", suite, "--out", out)
    assert done.code == 0
    assert "[box-empty]" in done.err and "[box-empty]" in done.out
    (cell,) = read_run(out).cells
    assert [each.kind for each in cell.result.findings].count("box-empty") == 1
    # A run that goes on says what is odd in what it kept.
    assert "[box-empty]" in run("run", suite, "--out", out).out
    for format in ("terminal", "md", "latex", "html", "json"):
        assert "[box-empty]" in run("table", out, "--format", format).out
    assert "[box-empty]" in run("compare", out, out).out
    assert "[box-empty]" in run("claims", out).out
    page = tmp_path / "report.html"
    assert run("report", out, "--out", page).code == 0
    assert "[box-empty]" in page.read_text(encoding="utf-8")


def test_what_was_assumed_of_a_checkpoint_is_said(run: Any, people: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save_heatmap(path, ["N", 3, 64, 48])
    done = run("eval", path, "--dataset", people, "--replicates", 0)
    assert "note: net: its keypoints are taken for those of coco" in done.out
    assert "assumed, as the file does not say: " in done.out and "[settings-assumed]" in done.out


def test_which_of_two_sets_of_weights_was_used_is_said(
    run: Any, people: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    state = load_file(small_checkpoint(tmp_path / "small.safetensors"))
    torch.save({"state_dict": state, "state_dict_ema": state}, tmp_path / "two.pth")
    spec = tmp_path / "spec.yaml"
    spec.write_text("input_size: 64x48\nkeypoints: coco\ncodec: {kind: heatmap}\n")
    done = run("eval", tmp_path / "two.pth", "--dataset", people, "--spec", spec, "--replicates", 0)
    assert done.code == 0, done
    assert "note: two: the averaged weights are used, by state_dict_ema" in done.out
