"""`posebench eval` as a user meets it: options, files, failures, exit codes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_run import edit_annotations, posebench, small_checkpoint

from posebench.files.records import mapping_from_record
from posebench.networks.sizes import InputSize
from posebench.results.store import read_run
from posebench.scoring.matching.metrics import MATCH_METRICS

ANNOTATIONS = Path("annotations") / "person_keypoints_val.json"


@pytest.fixture(scope="session")
def heatmap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("weights") / "heatmap.safetensors")


@pytest.fixture(scope="session")
def simcc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("weights") / "simcc.safetensors", "simcc")


@pytest.fixture
def own_people(people: Path, tmp_path: Path) -> Path:
    return shutil.copytree(people, tmp_path / "own")


def strict(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{path} holds {constant}")

    return json.loads(path.read_text(), parse_constant=refuse)


def boxes_file(path: Path, people: Path, shift: int = 0) -> Path:
    raw = json.loads((people / ANNOTATIONS).read_text())
    rows = [
        {"image_id": a["image_id"] + shift, "category_id": 1, "bbox": a["bbox"], "score": score}
        for a in raw["annotations"]
        for score in (0.9, 0.4)
    ]
    path.write_text(json.dumps(rows))
    return path


def test_a_good_run(run: Any, people: Path, heatmap: Path, simcc: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(
        "eval", heatmap, simcc, "--dataset", people, "--size", "native,96x80",
        "--policy", "native,resample,interpolate", "--out", out, "--json", tmp_path / "r.json",
        "--batch-size", 4,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    document = strict(tmp_path / "r.json")
    stored = [mapping_from_record(cell.result) for cell in read_run(out).cells]
    assert document["results"] == stored
    rows = [
        (r["checkpoint"]["name"], r["size"], r["policy"], r["status"]) for r in document["results"]
    ]
    assert rows == [
        ("heatmap", "64x48", "native", "ok"),
        ("heatmap", "96x80", "native", "ok"),
        ("heatmap", "96x80", "resample", "ok"),
        ("simcc", "64x48", "native", "ok"),
        ("simcc", "96x80", "native", "unsupported"),
        ("simcc", "96x80", "resample", "ok"),
        ("simcc", "96x80", "interpolate", "ok"),
    ]
    assert len(list((out / "predictions").iterdir())) == 6
    lines = done.out.splitlines()
    end = 2 + len(rows)
    assert lines[end].startswith("unsupported: simcc (96x80 native): input grid 4x3")
    for line, row in zip(lines[2:end], rows, strict=True):
        assert line.split()[0] == row[0]
        assert all(part in line for part in row)
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert names == {
        "run.yaml", "cells", "tables", "replicates", "predictions", "differences.json",
    }  # fmt: skip


def test_decoders_side_by_side_and_again_from_raw_outputs(
    run: Any, people: Path, heatmap: Path, simcc: Path, tmp_path: Path
) -> None:
    out, raw = tmp_path / "out", tmp_path / "raw"
    results = tmp_path / "r.json"
    asked = (
        "eval", heatmap, simcc, "--dataset", people, "--save-raw", raw, "--out", out,
        "--json", results,
    )  # fmt: skip
    done = run(*asked, "--decoder", "own,dark,expectation")
    assert (done.code, done.err) == (0, "")
    rows = strict(results)["results"]
    assert [(r["checkpoint"]["name"], r["protocol"]["decoder"], r["status"]) for r in rows] == [
        ("heatmap", "quarter", "ok"),
        ("heatmap", "dark", "ok"),
        ("heatmap", "expectation", "ok"),
        ("simcc", "argmax", "ok"),
        ("simcc", "dark", "unsupported"),
        ("simcc", "expectation", "ok"),
    ]
    assert len(list((out / "predictions").iterdir())) == 5
    assert "decoder" in done.out.splitlines()[1]
    assert "unsupported: simcc (64x48 native): SimCC outputs have no dark decoder" in done.out
    assert len(list(raw.iterdir())) == 2
    done = run(*asked, "--decoder", "udp", "--nms", "none")
    assert done.code == 0
    again = strict(results)["results"]
    assert [row["status"] for row in again] == ["ok", "unsupported"]
    assert again[0]["instances_per_second"] is None
    assert again[0]["protocol"]["precision"] == rows[0]["protocol"]["precision"]
    done = run("eval", heatmap, "--dataset", people, "--decoder", "darc")
    assert done.code == 2
    assert "Did you mean 'dark'?" in done.err


def test_predictions_score_the_same_in_pycocotools(
    run: Any, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that answers near the truth, so that the numbers to compare are not all 0."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    from posebench.prediction import segments
    from posebench.prediction.predict import predict

    def near_the_truth(runs: Any, dataset: Any, truth: Any, **options: Any) -> Any:
        outcomes = predict(runs, dataset, truth, **options)
        ((outcome,),) = (own.values() for own in outcomes.values())
        assert outcome.predictions is not None
        noise = np.random.default_rng(0).normal(0, 4, truth.keypoints[..., :2].shape)
        outcome.predictions.keypoints[:] = truth.keypoints[..., :2] + noise
        return outcomes

    monkeypatch.setattr(segments, "predict", near_the_truth)
    heatmap = small_checkpoint(tmp_path / "heatmap.safetensors")
    predictions, results = tmp_path / "p.json", tmp_path / "r.json"
    done = run(
        "eval", heatmap, "--dataset", people, "--predictions", predictions, "--json", results
    )
    assert done.code == 0
    entries = strict(predictions)
    assert set(entries[0]) == {"image_id", "category_id", "keypoints", "score", "bbox"}
    with contextlib.redirect_stdout(None):
        truth = COCO(str(people / ANNOTATIONS))
        scoring = COCOeval(truth, truth.loadRes(str(predictions)), "keypoints")
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    reported = strict(results)["results"][0]["metrics"]
    expected = [None if value < 0 else value for value in scoring.stats]
    assert [reported[metric.name] for metric in MATCH_METRICS["coco"]] == expected
    assert 0.2 < reported["AP"] < 1


def test_intervals_and_the_official_numbers_as_asked(
    run: Any, people: Path, heatmap: Path, tmp_path: Path
) -> None:
    results = tmp_path / "r.json"
    asked = ("eval", heatmap, "--dataset", people, "--json", results)
    done = run(*asked, "--replicates", 50, "--seed", 3, "--interval", "bca", "--official")
    assert (done.code, done.err) == (0, "")
    (row,) = strict(results)["results"]
    made = {name: row["intervals"][name] for name in ("level", "method", "replicates", "seed")}
    assert made == {"level": 0.95, "method": "bca", "replicates": 50, "seed": 3}
    names = {metric.name for metric in MATCH_METRICS["coco"]}
    low, high = row["intervals"]["low"], row["intervals"]["high"]
    assert set(low) == set(high) and names | {"PCK@0.1", "median error"} <= set(low)
    assert row["official"]["metrics"] == {name: row["metrics"][name] for name in names}
    assert row["official"]["evaluator"].startswith("pycocotools ")
    assert "AP official" in done.out
    done = run(*asked, "--replicates", 0)
    assert done.code == 0
    (row,) = strict(results)["results"]
    assert (row["intervals"], row["official"]) == (None, None)
    assert "95%" not in done.out


def test_kept_predictions_are_used_and_said_to_be(
    run: Any, people: Path, heatmap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("POSEBENCH_PREDICTIONS")
    asked = ("eval", heatmap, "--dataset", people, "--json", tmp_path / "r.json")
    rows = []
    for options in ((), ("--nms", "none"), ("--cache", "none"), ("--cache", tmp_path / "b")):
        done = run(*asked, *options)
        assert (done.code, done.err) == (0, "")
        (row,) = strict(tmp_path / "r.json")["results"]
        assert ("an earlier run" in done.out) == (row["instances_per_second"] is None)
        rows.append(row)
    assert [row["instances_per_second"] is None for row in rows] == [False, True, False, False]
    assert rows[0]["metrics"] == rows[2]["metrics"] == rows[3]["metrics"]
    assert len(list((tmp_path / "cache" / "predictions").iterdir())) == 1
    assert len(list((tmp_path / "b").iterdir())) == 1


def test_every_option_reaches_the_protocol(
    run: Any, people: Path, heatmap: Path, tmp_path: Path
) -> None:
    boxes = boxes_file(tmp_path / "dets.json", people)
    names = json.loads((people / ANNOTATIONS).read_text())["categories"][0]["keypoints"]
    own = tmp_path / "own.yaml"
    own.write_text(
        json.dumps({"name": "own", "keypoints": names, "sigmas": [0.1] * 17, "flip_pairs": []})
    )
    spec = tmp_path / "spec.yaml"
    spec.write_text("codec: {decoder: dark}\ncrop: {padding: 1.5}\n")
    results = tmp_path / "r.json"
    done = run(
        "eval", heatmap, "--dataset", people / ANNOTATIONS, "--images", people / "val",
        "--boxes", boxes, "--min-box-score", 0.3, "--box-nms", 0.65, "--max-boxes", 5,
        "--limit", 3, "--no-flip", "--rescoring", "keypoint", "--keypoint-threshold", 0.1,
        "--nms", "soft", "--nms-threshold", 0.8, "--spec", spec, "--keypoints", own,
        "--batch-size", 3, "--json", results,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    document = strict(results)
    protocol = document["results"][0]["protocol"]
    expected = {
        "boxes": "dets", "min_box_score": 0.3, "box_nms": 0.65, "max_boxes": 5, "images": 3,
        "flip_test": False, "rescoring": "keypoint", "keypoint_threshold": 0.1, "nms": "soft",
        "nms_threshold": 0.8, "keypoints": "own", "decoder": "dark", "crop_padding": 1.5,
    }  # fmt: skip
    assert {name: protocol[name] for name in expected} == expected
    assert document["settings"]["batch_size"] == 3
    assert "dropped by the box filter" in " ".join(protocol["boxes_left_out"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dataset", "synthetc"], "Did you mean 'synthetic'"),
        (["--policy", "resampel"], "Did you mean 'resample'"),
        (["--size", "256"], "'256' is not an input size"),
        (["--size", "native,0.5"], "256x192,native,0.5x"),
        (["--boxes", "none.json"], "There is no boxes file none.json"),
        (["--rescoring", "box"], "Did you mean 'bbox'"),
        (["--nms", "hrd"], "Did you mean 'hard'"),
        (["--limit", "0"], "limit of 0 images"),
        (["--box-nms", "2"], "not in (0, 1]"),
        (["--max-boxes", "0"], "At most 0 boxes"),
        (["--min-box-score", "0.5"], "for detected boxes"),
        (["--spec", "none.yaml"], "There is no file none.yaml"),
        (["--keypoints", "coc"], "Did you mean 'coco'"),
        (["--split", "test"], "Tried:"),
        (["--images", "nowhere"], "are missing"),
        (["--batch-size", "0"], "--batch-size"),
        (["--json", "/dev/null/r.json"], "cannot be written"),
    ],
)
def test_usage_errors(run: Any, people: Path, heatmap: Path, options: list[str], said: str) -> None:
    done = run("eval", heatmap, "--dataset", people, *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_an_unknown_checkpoint_stops_before_anything_runs(
    run: Any, people: Path, heatmap: Path
) -> None:
    done = run("eval", heatmap, "none.pth", "--dataset", people)
    assert (done.code, done.out) == (2, "")
    assert "none.pth" in done.err


@pytest.mark.parametrize("damage", ["missing image", "cut off annotations", "other boxes"])
def test_data_that_cannot_be_used(
    run: Any, own_people: Path, heatmap: Path, tmp_path: Path, damage: str
) -> None:
    options: list[object] = []
    if damage == "missing image":
        image = next((own_people / "val").iterdir())
        image.unlink()
        said = f"1 of 4 image files are missing: {image}"
    elif damage == "cut off annotations":
        path = own_people / ANNOTATIONS
        path.write_bytes(path.read_bytes()[:-200])
        said = "is cut off"
    else:
        options = ["--boxes", boxes_file(tmp_path / "b.json", own_people, shift=1000)]
        said = "has no box of category 1 (person) for any of the 4 images"
    done = run("eval", heatmap, "--dataset", own_people, *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize("rest", [0.5, 0.0])
def test_an_unreadable_jpeg_in_the_middle_of_a_run(
    run: Any, own_people: Path, heatmap: Path, simcc: Path, tmp_path: Path, rest: float
) -> None:
    old = sorted((own_people / "val").iterdir())[2]
    jpeg = old.with_suffix(".jpg")
    encoded = cv2.imencode(".jpg", cv2.imread(str(old)))[1].tobytes()
    jpeg.write_bytes(encoded[: int(len(encoded) * rest)] or b"not an image")
    edit_annotations(
        own_people / ANNOTATIONS, lambda raw: raw["images"][2].update(file_name=jpeg.name)
    )
    results = tmp_path / "r.json"
    done = run(
        "eval", heatmap, simcc, "--dataset", own_people, "--size", "native,96x80",
        "--json", results, "--batch-size", 1,
    )  # fmt: skip
    assert done.code == 3
    rows = strict(results)["results"]
    assert [row["status"] for row in rows] == ["failed", "failed", "failed", "unsupported"]
    assert all(str(jpeg) in row["reason"] for row in rows[:3])
    assert all(row["metrics"] is None for row in rows)
    reasons = [line for line in done.out.splitlines() if line.startswith("failed: ")]
    assert len(reasons) == 1
    assert reasons[0].startswith("failed: heatmap (64x48 native, 96x80 native), simcc (64x48")


def test_one_broken_checkpoint_among_good_ones(
    run: Any, people: Path, heatmap: Path, simcc: Path, tmp_path: Path
) -> None:
    poisoned = tmp_path / "poisoned.safetensors"
    with safe_open(heatmap, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(heatmap)
    tensors["head.final_layer.bias"][3] = float("nan")
    save_file(tensors, poisoned, metadata)
    results = tmp_path / "r.json"
    done = run("eval", heatmap, poisoned, simcc, "--dataset", people, "--json", results)
    assert done.code == 3
    rows = {row["checkpoint"]["name"]: row for row in strict(results)["results"]}
    assert [row["status"] for row in rows.values()] == ["ok", "failed", "ok"]
    assert "head.final_layer.bias" in rows["poisoned"]["reason"]
    assert "failed: poisoned: poisoned.safetensors: 1 of " in done.out


def test_keypoints_that_do_not_fit_the_data(run: Any, people: Path, tmp_path: Path) -> None:
    from posebench.datasets.keypoints import CROWDPOSE

    crowd = small_checkpoint(tmp_path / "crowd.safetensors", keypoints=CROWDPOSE)
    done = run("eval", crowd, "--dataset", people)
    assert done.code == 3
    assert "predicts 14 keypoints (crowdpose)" in done.out


def test_a_size_off_the_stride(run: Any, people: Path, heatmap: Path) -> None:
    done = run("eval", heatmap, "--dataset", people, "--size", "100x75")
    assert done.code == 0
    assert "unsupported: heatmap (100x75 native): both sides must be multiples" in done.out
    assert "Nearest valid: 96x64 and 112x80" in done.out


def test_a_narrow_terminal(
    run: Any, people: Path, heatmap: Path, simcc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = run("eval", heatmap, simcc, "--dataset", people, "--size", "native,96x80")
    assert max(map(len, done.out.splitlines())) <= 80
    assert "a pipe or a wider window shows them" in " ".join(done.out.split())


def test_debug_shows_where_a_cell_failed(people: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x00" * 8 + b"{")
    ascii_only = {"PYTHONIOENCODING": "ascii"}  # lacks the dots and dashes of the table
    done = posebench("eval", broken, "--dataset", people, "--debug", env=ascii_only)
    assert done.returncode == 3
    assert "Traceback" in done.stderr and "CheckpointError" in done.stderr
    assert "failed: broken" in done.stdout
    assert "9 instances ? scored by" in done.stdout


@pytest.mark.parametrize("place", [0, 1, 4])
def test_debug_shows_where_an_error_came_from(run: Any, heatmap: Path, place: int) -> None:
    arguments: list[object] = ["eval", heatmap, "--dataset", "none"]
    arguments.insert(place, "--debug")
    try:
        done = run(*arguments)
    finally:
        logging.getLogger("posebench").setLevel(logging.NOTSET)
    assert done.code == 2
    assert "Traceback" in done.err
    assert "error: There is no data set" in done.err


def test_ctrl_c_keeps_what_is_done(people: Path, heatmap: Path, tmp_path: Path) -> None:
    slow = small_checkpoint(tmp_path / "slow.safetensors", size=InputSize(2048, 1536))
    last = small_checkpoint(tmp_path / "last.safetensors")
    out, results = tmp_path / "out", tmp_path / "r.json"
    # Shells start background jobs with SIGINT ignored, and a child would inherit that. The
    # checkpoints run one by one, as large ones do.
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from posebench.running import passes; passes.WEIGHTS_OF_A_PASS = 0; "
        "from posebench.cli import main; main()"
    )
    process = subprocess.Popen(
        [
            sys.executable, "-c", start, "eval", str(heatmap), str(slow), str(last),
            "--dataset", str(people), "--out", str(out), "--json", str(results),
            "--batch-size", "1",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not results.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, stderr) == (3, "")
    rows = strict(results)["results"]
    statuses = [(row["checkpoint"]["name"], row["status"]) for row in rows]
    assert statuses == [("heatmap", "ok"), ("slow", "skipped"), ("last", "skipped")]
    assert rows[0]["metrics"]["AP"] is not None
    kept = read_run(out)
    assert [cell.result.checkpoint.name for cell in kept.cells] == ["heatmap"]
    assert len(kept.missing) == 2
    skipped = "skipped: slow (2048x1536 native), last (64x48 native): stopped by Ctrl-C"
    assert skipped in stdout
    assert {path.name for path in out.rglob(".*") if path.is_file()} <= {".lock"}


def test_a_run_directory_is_read_by_all_that_read_runs(
    run: Any,
    people: Path,
    heatmap: Path,
    simcc: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from posebench.results import load_results

    out = tmp_path / "out"
    monkeypatch.chdir(people.parent)  # what the run says of its data is relative to where it ran
    asked = (
        "eval", heatmap, simcc, "--dataset", people.name, "--out", out, "--replicates", 20,
        "--interval", "bca", "--official",
    )  # fmt: skip
    assert run(*asked).code == 0
    monkeypatch.chdir(tmp_path)
    assert "heatmap" in run("table", out).out
    assert run("compare", out, out).code == 0
    assert run("claims", out).code == 0
    assert run("report", out, "--out", tmp_path / "page.html").code == 0
    assert "is gone" not in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert set(load_results(out).checkpoint) == {"heatmap", "simcc"}
    record = read_run(out).record
    assert (record.suite.scoring.interval, record.suite.scoring.official) == ("bca", True)


def test_what_a_run_directory_has_is_not_run_again(
    run: Any, people: Path, heatmap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("eval", heatmap, "--dataset", people, "--out", tmp_path / "out", "--replicates", 20)
    first = run(*asked)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a network ran")

    monkeypatch.setattr("posebench.running.run_pass.PassWorker.__call__", refuse)
    monkeypatch.setattr("posebench.running.run_pass.predict_in_segments", refuse)
    again = run(*asked)
    assert (again.code, again.out) == (0, first.out)


def test_predictions_are_copied_between_the_cache_and_the_run_directory(
    run: Any, people: Path, heatmap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, asked = tmp_path / "cache", ("eval", heatmap, "--dataset", people)
    assert run(*asked, "--cache", cache).code == 0
    (kept,) = cache.iterdir()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a network ran")

    with monkeypatch.context() as patch:
        patch.setattr("posebench.prediction.predict.predict_outputs", refuse)
        done = run(*asked, "--cache", cache, "--out", tmp_path / "out")
    assert done.code == 0 and "an earlier run" in done.out
    (copied,) = (tmp_path / "out" / "predictions").iterdir()
    assert (copied.name, copied.read_bytes()) == (kept.name, kept.read_bytes())
    (cell,) = read_run(tmp_path / "out").cells
    assert cell.predictions == kept.stem
