"""`posebench run` on suites that train."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lab_suites import ARMS, instant_training, lab_suite
from safetensors.torch import load_file
from same_runs import run_contents

from posebench.errors import TrainingError
from posebench.judging.verdicts import verdicts_of
from posebench.results.store import read_run
from posebench.running.executors import EXECUTORS
from posebench.running.trained import forecast, train_suite as training, worker

CLAIM = """
claims:
  - id: L1
    statement: SimCC is ahead.
    treatment: {labels.arm: simcc}
    control: {labels.arm: heatmap}
    match_by: [dataset, labels.data, labels.seed]
"""
# Two seeds of two arms on the four scenes of `people`.
DATA = [{"folder": "people", "split": "val"}]


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a suite with a claim, whose training takes no time, in a folder to run it in."""
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "EXECUTORS", {"processes": EXECUTORS["inline"]})
    monkeypatch.setattr("os.nice", lambda _: 0)
    monkeypatch.setattr(worker, "train", instant_training)
    monkeypatch.setattr(worker, "validation", lambda *_: lambda _model: {})
    monkeypatch.setattr(forecast, "_rate", lambda *_: 8.0)
    (tmp_path / "claim.yaml").write_text(CLAIM, encoding="utf-8")
    return lab_suite(tmp_path, {"claims": ["claim.yaml"]}, data=DATA, seeds=[0, 1])


def test_cells_of_trained_checkpoints_are_like_any(
    suite: Path, people: Path, run: Callable[..., Any]
) -> None:
    where = ("--data-root", f"people={people}")
    done = run("run", suite, *where, "--jobs", 1)
    assert done.code == 0
    assert "simcc_people_s1: trained (0 left)" in done.err
    assert str(people) not in (suite.parent / "runs" / "lab" / "run.yaml").read_text()
    found = read_run(suite.parent / "runs" / "lab")
    assert [(cell.result.checkpoint.name, cell.labels["seed"]) for cell in found.cells] == [
        (f"{arm}_people_s{seed}", str(seed)) for seed in (0, 1) for arm in ARMS
    ]
    # Results call data by the name that the suite has for them, wherever they lie.
    assert {cell.result.protocol.dataset for cell in found.cells} == {"people"}
    assert {cell.labels["data"] for cell in found.cells} == {"people"}
    (verdict,) = verdicts_of(found)
    assert verdict.verdict != "untested"
    assert "L1" in done.out
    again = run("run", suite, *where)
    assert "4 checkpoints of the lab: 4 trained before, 0 to train" in again.err
    assert "4 cells, 4 done before" in again.err


def test_a_dry_run_shows_what_training_costs(
    suite: Path, people: Path, run: Callable[..., Any]
) -> None:
    where = ("--data-root", f"people={people}", "--jobs", 2)
    shown = run("run", suite, *where, "--dry-run")
    assert shown.code == 0
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["simcc", "people", "1x", "0", "1", "0", "of", "2", "64", "8", "0.3"] in lines
    assert "4 of 4 checkpoints are to be trained: about 32 s of one thread" in shown.out
    assert "16 s with 2 side by side" in shown.out
    assert "4 cells, 0 done before" in shown.out
    run("run", suite, *where)
    assert "All 4 checkpoints are trained." in run("run", suite, *where, "--dry-run").out


def test_trained_and_untrained_checkpoints_of_one_folder_are_comparable(
    suite: Path, people: Path, run: Callable[..., Any]
) -> None:
    claim = suite.parent / "claim.yaml"
    claim.write_text(f"{CLAIM}    factor: [model.head, model.codec]\n", encoding="utf-8")
    where = ("--data-root", f"people={people}")
    assert run("run", suite, *where).code == 0
    for place in (suite.parent / "cache" / "trained", suite.parent / "runs" / "lab" / "trained"):
        for record in place.glob("*/trained.json"):
            if json.loads(record.read_bytes())["name"] == "simcc_people_s1":
                shutil.rmtree(record.parent)
    planned = run("run", suite, *where, "--dry-run")
    assert (planned.code, "1 of 4 checkpoints are to be trained" in planned.out) == (0, True)
    assert run("run", suite, *where).code == 0


def test_what_is_trained_so_far(suite: Path, people: Path, run: Callable[..., Any]) -> None:
    where = ("--data-root", f"people={people}")
    skipped = run("run", suite, *where, "--no-training")
    assert skipped.code == 3
    assert "simcc_people_s1: skipped: it is not trained yet" in skipped.err
    assert run("run", suite, *where).code == 0
    assert run("run", suite, *where, "--no-training", "--out", "other").code == 0


def results_of(out: Path) -> dict[str, Any]:
    found = run_contents(out)
    return {name: value for name, value in found.items() if not name.startswith("trained/")}


def test_shards_train_what_they_evaluate(
    suite: Path, people: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("run", suite, "--data-root", f"people={people}", "--jobs", 1)
    assert run(*options, "--out", "whole").code == 0
    for index in (1, 2):
        monkeypatch.setenv("POSEBENCH_CACHE", f"cache-{index}")  # machines that share nothing
        part = Path(f"part-{index}")
        shard = ("--out", part, "--shard", f"{index}/2")
        assert "2 of 2 checkpoints are to be trained" in run(*options, *shard, "--dry-run").out
        assert run(*options, *shard).code == 0
        assert len(list((part / "trained").glob("[!.]*"))) == len(read_run(part).cells) == 2
        assert "2 cells, 2 done before" in run(*options, *shard).err
    merged = run("merge", "part-1", "part-2", "--out", "merged")
    assert merged.code == 0 and "L1" in merged.out
    assert results_of(Path("merged")) == results_of(Path("whole"))
    assert len(weights(Path("merged"))) == 4


def test_a_training_that_fails_in_a_shard_fails_its_cells_alone(
    suite: Path, people: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(recipe: Any, *others: Any) -> Any:
        if recipe.name == "simcc_people_s1":
            raise TrainingError("the loss is nan")
        return instant_training(recipe, *others)

    monkeypatch.setattr(worker, "train", train)
    options = ("run", suite, "--data-root", f"people={people}", "--jobs", 1, "--out", "out")
    codes = [run(*options, "--shard", f"{index}/2").code for index in (1, 2)]
    assert sorted(codes) == [0, 3]
    found = read_run(Path("out"))
    assert found.missing == ()
    status = {cell.result.checkpoint.name: cell.result.reason for cell in found.cells}
    assert status.pop("simcc_people_s1") == "it could not be trained: the loss is nan"
    assert set(status.values()) == {None}
    monkeypatch.setenv("POSEBENCH_CACHE", "empty")
    skipped = run(*options, "--shard", "1/2", "--no-training", "--out", "other")
    assert skipped.code == 3 and "it is not trained yet" in skipped.err


def test_ctrl_c_while_training(
    suite: Path, people: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "train", stopped)
    left = run("run", suite, "--data-root", f"people={people}")
    assert (left.code, "The same command goes on" in left.err) == (3, True)


def test_data_that_are_not_here_are_an_error_if_nothing_else_is_left(
    suite: Path, run: Callable[..., Any]
) -> None:
    failed = run("run", suite)
    assert failed.code == 2
    assert "lab has no data to train on. people is left out" in failed.err
    misspelt = run("run", suite, "--data-root", "people")
    assert (misspelt.code, "Write NAME=FOLDER" in misspelt.err) == (2, True)


def test_validation_tries_claims_on_cells_that_are_to_come(
    suite: Path, people: Path, run: Callable[..., Any]
) -> None:
    (suite.parent / "people").symlink_to(people)
    sound = run("suite", "validate", suite)
    assert (sound.code, sound.err) == (0, "")
    assert "is sound: lab, 4 cells, 1 claims." in sound.out
    claim = suite.parent / "claim.yaml"
    claim.write_text(CLAIM.replace("arm: simcc", "arm: simc"), encoding="utf-8")
    assert run("suite", "validate", suite).code == 2
    # The arms differ in their codecs as well, which would show after hours of training.
    claim.write_text(f"{CLAIM}    factor: [model.head]\n", encoding="utf-8")
    narrow = run("suite", "validate", suite)
    assert (narrow.code, "trained with other model.codec" in narrow.err) == (2, True)


@pytest.fixture
def coco(tmp_path: Path, people: Path) -> Path:
    """Return a folder in the layout of COCO's own files, with four images in each part."""
    folder = tmp_path / "coco"
    (folder / "annotations").mkdir(parents=True)
    for split in ("train2017", "val2017"):
        shutil.copytree(people / "val", folder / split)
        source = people / "annotations" / "person_keypoints_val.json"
        shutil.copy(source, folder / "annotations" / f"person_keypoints_{split}.json")
    return folder


@pytest.mark.parametrize("scale", ["coco", "check"])
def test_the_suite_for_coco_is_planned(
    coco: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, scale: str
) -> None:
    monkeypatch.setattr(forecast, "_rate", lambda *_: 2000.0)
    monkeypatch.setenv("POSEBENCH_CACHE", str(coco.parent / "cache"))
    monkeypatch.chdir(coco.parent)
    where = ("--data-root", f"coco={coco}", "--scale", scale)
    shown = run("run", "lab/coco", *where, "--dry-run")
    assert shown.code == 0, shown.err
    lines = [line.split() for line in shown.out.splitlines()]
    seeds, crops, minutes = {
        "coco": (["0", "1", "2"], "31460608", "786.5"),
        "check": (["0"], "2560", "0.0"),
    }[scale]
    for network in ("r50", "cspnext-m", "vit-s"):
        for paradigm in ("heatmap", "simcc"):
            start = [f"{paradigm}-{network}", "coco", "1x", *seeds]
            row = [*start, "0", "of", str(len(seeds)), crops, "2000", minutes]
            assert row in lines, shown.out


def weights(out: Path) -> dict[str, Any]:
    files = (out / "trained").glob("*/*.safetensors")
    return {file.name: load_file(file) for file in files}


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path, people: Path) -> None:
    data = [{"folder": str(people), "split": "val"}]
    path = lab_suite(tmp_path, data=data)
    command = [sys.executable, "-m", "posebench", "run", str(path), "--threads", "1", "--jobs", "2"]

    def environment(name: str) -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": "1", "POSEBENCH_CACHE": str(tmp_path / name)}

    whole, out = tmp_path / "whole", tmp_path / "out"
    subprocess.run([*command, "--out", str(whole)], check=True, env=environment("a"))
    process = subprocess.Popen([*command, "--out", str(out)], env=environment("b"))
    end = time.monotonic() + 120
    # The first evaluation leaves the state to go on from.
    while not any(out.glob("trained/*/*.state")) and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(weights(out)) < 2
    again = [*command, "--out", str(out)]
    done = subprocess.run(again, check=True, env=environment("b"), capture_output=True, text=True)
    assert "of them go on" in done.stderr
    one, other = weights(whole), weights(out)
    assert one.keys() == other.keys() == {f"{arm}_{people.name}_s0.safetensors" for arm in ARMS}
    for name, tensors in one.items():
        assert all(torch.equal(tensors[key], other[name][key]) for key in tensors)
