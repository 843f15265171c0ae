"""Is B better than A? Two foreign checkpoints through every command that says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from posebench.results import load_results
from posebench.results.differences import read_differences
from posebench.results.store import read_run
from posebench.zoo import resolve


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two checkpoints under names of one's own."""
    folder = tmp_path_factory.mktemp("own")
    for name, of in (("ours", "simcc-m-64x48"), ("theirs", "heatmap-m-64x48")):
        shutil.copy(resolve(of), folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def people20(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from posebench.datasets.synthetic import write_dataset

    folder = tmp_path_factory.mktemp("people20") / "people"
    write_dataset(folder, split="val", count=20)
    return folder


@pytest.fixture(scope="module")
def evaluated(own: Path, people20: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run directory of one `eval` of both, with its output beside it."""
    from small_run import posebench

    folder = tmp_path_factory.mktemp("evaluated")
    done = posebench(
        "eval", own / "theirs.safetensors", own / "ours.safetensors", "--dataset", people20,
        "--replicates", 200, "--out", folder / "run", "--json", folder / "r.json",
        env={"COLUMNS": "80", "POSEBENCH_PREDICTIONS": "none"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder / "out.txt").write_text(done.stdout)
    return folder / "run"


def shown(run: Path) -> tuple[str, str]:
    """Return the difference and its interval, as texts show them."""
    found = read_differences(run)
    assert found is not None and found.baseline == "theirs"
    (each,) = found.differences
    assert each.difference is not None and each.low is not None and each.high is not None
    assert each.low <= each.difference <= each.high
    value, low, high = (f"{100 * end:+.1f}" for end in (each.difference, each.low, each.high))
    return value, f"{low} to {high}"


def test_eval_prints_the_difference_and_keeps_it(evaluated: Path) -> None:
    value, interval = shown(evaluated)
    text = (evaluated.parent / "out.txt").read_text()
    assert max(map(len, text.splitlines())) <= 80
    said = text.partition("Against theirs, paired over the same 20 images:\n")[2]
    header, row = said.splitlines()[:2]
    assert header.split()[0] == "checkpoint" and "told apart" in header
    assert row.split()[0] == "ours" and value in row and interval in row
    assert "differ in decoder (argmax / dark): ours" in said
    assert "in four cases of five" in " ".join(said.split())
    document = json.loads((evaluated.parent / "r.json").read_text())
    assert document["baseline"] == "theirs"
    assert document["differences"][0]["checkpoint"] == "ours"


def test_every_reader_of_the_run_shows_it(run: Any, evaluated: Path, tmp_path: Path) -> None:
    value, interval = shown(evaluated)
    low, high = interval.split(" to ")
    claims = run("claims", evaluated)
    assert (claims.code, claims.err) == (0, "")
    assert "ours against theirs" in claims.out and f"{value} AP (95 % {interval};" in claims.out
    table = run("table", evaluated, "--baseline", "theirs", "--ci")
    assert f"({value} [{low}, {high}]" in table.out
    compared = run("compare", evaluated, evaluated, "--map", "theirs=ours")
    assert "theirs is compared with ours: as --map says" in compared.out
    assert value in compared.out
    page = tmp_path / "page.html"
    assert run("report", evaluated, "--out", page).code == 0
    assert f"{value} AP" in page.read_text() and interval in page.read_text()
    figure = tmp_path / "difference.svg"
    assert run("plot", evaluated, "--kind", "difference", "--out", figure).code == 0
    assert f"ours: {value}, 95 % {interval}" in figure.read_text()
    frame = load_results(evaluated).set_index("checkpoint")
    row = frame.loc["ours"]
    assert f"{100 * row['AP difference']:+.1f}" == value and row["baseline"] == "theirs"
    assert f"{100 * row['AP difference low']:+.1f}" == low
    assert f"{100 * row['AP difference high']:+.1f}" == high


def test_a_later_checkpoint_is_compared_with_what_is_there(
    run: Any, own: Path, people20: Path, evaluated: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(evaluated, tmp_path / "run")
    third = shutil.copy(own / "ours.safetensors", tmp_path / "third.safetensors")
    done = run("eval", third, "--dataset", people20, "--replicates", 200, "--out", out)
    assert done.code == 0 and "Against theirs" in done.out
    found = read_differences(out)
    assert found is not None
    assert [each.checkpoint for each in found.differences] == ["ours", "third"]
    assert found.differences[0].difference == found.differences[1].difference
    claims = [claim.id for claim in read_run(out).record.claims]
    assert claims == ["ours against theirs", "third against theirs"]
    turned = run(
        "eval", third, "--dataset", people20, "--replicates", 200, "--out", out,
        "--baseline", "ours",
    )  # fmt: skip
    assert "Against ours" in turned.out and "+0.0 to +0.0" in turned.out


def test_boxes_and_sizes_are_a_grid(run: Any, own: Path, people20: Path, tmp_path: Path) -> None:
    raw = json.loads((people20 / "annotations" / "person_keypoints_val.json").read_text())
    rows = [
        {"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": 0.9}
        for a in raw["annotations"]
    ]
    (tmp_path / "detected.json").write_text(json.dumps(rows))
    done = run(
        "eval", own / "theirs.safetensors", own / "ours.safetensors", "--dataset", people20,
        "--boxes", f"gt,{tmp_path / 'detected.json'}", "--size", "native,96x80",
        "--policy", "native,resample", "--limit", 4, "--replicates", 50, "--min-box-score", 0.5,
        "--predictions", tmp_path / "coco", "--out", tmp_path / "run",
        "--baseline", own / "ours.safetensors",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    found = read_differences(tmp_path / "run")
    assert found is not None and found.baseline == "ours"
    places = [tuple(each.place.values()) for each in found.differences]
    sizes = [("64x48", "native"), ("96x80", "native"), ("96x80", "resample")]
    assert places == [(boxes, *size) for boxes in ("gt", "detected") for size in sizes]
    assert [each.reason for each in found.differences][:3] == [None, "ours unsupported", None]
    assert "n/c: theirs (gt, 96x80, native), theirs (detected, 96x80, native)" in done.out
    assert len(list((tmp_path / "coco").iterdir())) == 10


def test_a_flip_test_that_differs_is_named_with_the_way_out(
    run: Any, own: Path, people20: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    common = ("--dataset", people20, "--limit", 4, "--replicates", 50, "--out", out)
    assert run("eval", own / "theirs.safetensors", *common, "--no-flip").code == 0
    done = run("eval", own / "ours.safetensors", *common)
    assert "n/c: ours: the protocols differ in flip_test (True / False)" in done.out
    assert "--flip or --no-flip gives all checkpoints the same flip test" in done.out


def test_without_resamples_there_is_no_interval(
    run: Any, own: Path, people20: Path, tmp_path: Path
) -> None:
    done = run(
        "eval", own / "theirs.safetensors", own / "ours.safetensors", "--dataset", people20,
        "--limit", 4, "--replicates", 0,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert "nothing was resampled, so chance cannot be told" in done.out


def test_a_baseline_that_is_not_there_is_refused_before_anything_runs(run: Any, own: Path) -> None:
    done = run("eval", own / "ours.safetensors", "--baseline", "our")
    assert done.code == 2 and done.out == ""
    assert "There is no checkpoint 'our' to compare with" in done.err


def test_one_checkpoint_is_compared_with_nothing(
    run: Any, own: Path, people20: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = run("eval", own / "ours.safetensors", "--dataset", people20, "--limit", 4, "--out", out)
    assert done.code == 0 and "Against" not in done.out
    assert read_differences(out) is None and read_run(out).record.claims == ()
    drawn = run("plot", out, "--kind", "difference", "--out", tmp_path / "x.svg")
    assert drawn.code == 2 and "holds no differences between checkpoints" in drawn.err


def test_run_writes_predictions_of_each_cell(
    run: Any, own: Path, people20: Path, tmp_path: Path
) -> None:
    suite = own / "own.yaml"
    suite.write_text(
        "name: own\ndescription: d\ncheckpoints: [ours.safetensors, theirs.safetensors]\n"
        f"datasets: [{{name: {people20}, limit: 4}}]\nscoring: {{replicates: 50}}\n"
        "claims:\n- id: ours-better\n  statement: Ours is better.\n"
        "  treatment: {checkpoint: ours}\n  control: {checkpoint: theirs}\n"
    )
    done = run("run", suite, "--out", tmp_path / "run", "--predictions", tmp_path / "coco")
    assert done.code == 0 and "ours-better" in done.out
    names = {path.stem for path in (tmp_path / "coco").iterdir()}
    assert names == {cell.id for cell in read_run(tmp_path / "run").cells}
    refused = run("run", suite, "--out", tmp_path / "run", "--predictions", tmp_path / "x.json")
    assert refused.code == 2 and "Name a folder" in refused.err
    assert run("suite", "validate", suite).code == 0
