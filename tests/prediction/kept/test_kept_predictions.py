"""Kept predictions: the same numbers without a network, never stale, never half."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from passes import run_cells
from small_run import edit_annotations, small_checkpoint, small_model

from posebench.checkpoints.native import save_checkpoint
from posebench.datasets.requests import DataRequest
from posebench.errors import DataError
from posebench.files import cache as cache_module
from posebench.files.cache import predictions_directory
from posebench.files.hashing import content_key
from posebench.networks.costs import count_gflops
from posebench.prediction import predict as predict_module
from posebench.prediction.execution import Parallelism
from posebench.prediction.flip import predict_outputs
from posebench.prediction.kept.predictions import (
    CachedPredictions,
    cached_file,
    read_predictions,
    write_predictions,
)
from posebench.prediction.predictions import Predictions
from posebench.running import network_plans as planning
from posebench.running.network_plans import Storage
from posebench.running.scored import FinishedCell
from posebench.running.workload import Workload, load_workload
from posebench.scoring.evaluate import ScoringOptions


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("weights") / "net.safetensors")


@pytest.fixture
def own(people: Path, tmp_path: Path) -> Path:
    """Return a copy of the four scenes that a test may change, times of files included."""
    return shutil.copytree(people, tmp_path / "own")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List every use of a network: forward passes of batches, and counting GFLOPs."""
    seen: list[str] = []

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            seen.append(name)
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(predict_module, "predict_outputs", counted("run", predict_outputs))
    monkeypatch.setattr(planning, "count_gflops", counted("count", count_gflops))
    return seen


def load(folder: Path, scoring: ScoringOptions | None = None, **request: Any) -> Workload:
    request = {"dataset": str(folder), **request}
    return load_workload(DataRequest(**request), scoring or ScoringOptions(), lambda *_: None)


def run(net: Path, workload: Workload, cache: Path | None, **grid: Any) -> list[FinishedCell]:
    return run_cells([net], workload, Storage(predictions=cache), **grid)


def numbers(cells: list[FinishedCell]) -> list[Any]:
    return [(named(c), c.result.gflops, c.result.metrics, c.coco_results) for c in cells]


def named(cell: FinishedCell) -> tuple[Any, ...]:
    return cell.result.network_id, cell.result.protocol.decoder


def test_the_same_numbers_without_the_network(
    net: Path, people: Path, tmp_path: Path, passes: list[str]
) -> None:
    grid = {
        "sizes": ("native", "96x80"),
        "policies": ("native", "resample"),
        "parallelism": Parallelism(4),
    }
    direct = run(net, load(people), None, **grid)
    first = run(net, load(people), tmp_path / "kept", **grid)
    used = len(passes)
    assert used > 0 and all(cell.result.instances_per_second for cell in first)
    again = run(net, load(people), tmp_path / "kept", **grid)
    assert numbers(again) == numbers(first) == numbers(direct)
    assert len(passes) == used
    assert [cell.result.instances_per_second for cell in again] == [None] * len(again)
    assert len(list((tmp_path / "kept").iterdir())) == len(first) == 3


@pytest.mark.parametrize(
    "scoring",
    [
        ScoringOptions(nms="soft"),
        ScoringOptions(nms="none"),
        ScoringOptions(nms_threshold=0.5),
        ScoringOptions(rescoring="keypoint"),
        ScoringOptions(keypoint_threshold=0.5),
    ],
    ids=repr,
)
def test_scoring_otherwise_runs_no_network(
    net: Path, people: Path, tmp_path: Path, passes: list[str], scoring: ScoringOptions
) -> None:
    run(net, load(people), tmp_path)
    used = len(passes)
    again = run(net, load(people, scoring), tmp_path)
    assert len(passes) == used
    assert numbers(again) == numbers(run(net, load(people, scoring), None))


def rewritten(folder: Path) -> None:
    image = next((folder / "val").glob("*.png"))
    facts = image.stat()
    os.utime(image, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1_000_000))


def repainted(folder: Path) -> None:
    image = next((folder / "val").glob("*.png"))
    pixels = cv2.imread(str(image))
    pixels[0, 0] ^= 1
    cv2.imwrite(str(image), pixels)


def moved_box(folder: Path) -> None:
    def move(raw: Any) -> None:
        raw["annotations"][0]["bbox"][2] += 1

    edit_annotations(folder / "annotations" / "person_keypoints_val.json", move)


def relabelled(folder: Path) -> None:
    def move(raw: Any) -> None:
        raw["annotations"][0]["keypoints"][0] += 1

    edit_annotations(folder / "annotations" / "person_keypoints_val.json", move)


@pytest.mark.parametrize(
    ("change", "grid", "runs"),
    [
        (None, {"parallelism": Parallelism(3)}, False),
        (relabelled, {}, False),
        (None, {"flip": (False,)}, True),
        (None, {"sizes": ("96x80",)}, True),
        (None, {"decoders": ("dark",)}, True),
        (rewritten, {}, False),
        (repainted, {}, True),
        (moved_box, {}, True),
    ],
)
def test_what_moves_a_prediction_and_nothing_else_runs_the_network(
    net: Path,
    own: Path,
    tmp_path: Path,
    passes: list[str],
    change: Callable[[Path], None] | None,
    grid: dict[str, Any],
    runs: bool,
) -> None:
    run(net, load(own), tmp_path / "kept")
    if change is not None:
        change(own)
    passes.clear()
    again = run(net, load(own), tmp_path / "kept", **grid)
    assert ("run" in passes) == runs
    assert numbers(again) == numbers(run(net, load(own), None, **grid))


def test_other_weights_are_another_network(
    net: Path, people: Path, tmp_path: Path, passes: list[str]
) -> None:
    run(net, load(people), tmp_path / "kept")
    same = tmp_path / "copy.safetensors"
    same.write_bytes(net.read_bytes())
    passes.clear()
    run(same, load(people), tmp_path / "kept")
    assert passes == []
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, small_model("heatmap", seed=1), {}, dtype=torch.float32)
    run(other, load(people), tmp_path / "kept")
    assert "run" in passes


def test_only_missing_decoders_run(
    net: Path, people: Path, tmp_path: Path, passes: list[str]
) -> None:
    run(net, load(people), tmp_path, decoders=("dark",), parallelism=Parallelism(100))
    passes.clear()
    both = run(
        net,
        load(people),
        tmp_path,
        decoders=("udp", "dark", "argmax"),
        parallelism=Parallelism(100),
    )
    assert passes == ["run"]
    assert [cell.result.protocol.decoder for cell in both] == ["udp", "dark", "argmax"]
    direct = run(
        net, load(people), None, decoders=("udp", "dark", "argmax"), parallelism=Parallelism(100)
    )
    assert numbers(both) == numbers(direct)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def changed(**arrays: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with np.load(path) as kept:
            everything = {name: kept[name] for name in kept.files}
        np.savez_compressed(path, **{**everything, **arrays})

    return change


def pickled(path: Path) -> None:
    changed(keypoints=np.array([{}], dtype=object))(path)


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_a_bit,
        pickled,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("text"),
        changed(identity=np.array("{}")),
        changed(identity=np.array("no json")),
        changed(gflops=np.zeros(2)),
        changed(keypoints=np.zeros((1, 17, 2))),
        changed(areas=np.zeros(3)),
    ],
)
def test_a_damaged_file_is_made_again(
    net: Path,
    people: Path,
    tmp_path: Path,
    passes: list[str],
    damage: Callable[[Path], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = run(net, load(people), tmp_path)
    (file,) = tmp_path.iterdir()
    damage(file)
    passes.clear()
    with caplog.at_level(logging.WARNING):
        again = run(net, load(people), tmp_path)
    assert "run" in passes
    assert "damaged" in caplog.text and str(file) in caplog.text
    assert numbers(again) == numbers(first)
    passes.clear()
    run(net, load(people), tmp_path)
    assert passes == []


@pytest.mark.parametrize(
    "damage", [truncate, lambda path: path.unlink()], ids=["truncated", "gone"]
)
def test_a_sound_copy_takes_the_place_of_a_file(
    net: Path, people: Path, tmp_path: Path, passes: list[str], damage: Callable[[Path], object]
) -> None:
    storage = Storage(predictions=tmp_path / "own", shared=tmp_path / "shared")
    first = run_cells([net], load(people), storage)
    (own,), (shared,) = (list((tmp_path / name).iterdir()) for name in ("own", "shared"))
    whole = own.read_bytes()
    assert shared.read_bytes() == whole
    damage(own)
    passes.clear()
    assert numbers(run_cells([net], load(people), storage)) == numbers(first)
    assert passes == []
    assert own.read_bytes() == shared.read_bytes() == whole


@pytest.mark.parametrize("both", [False, True])
def test_a_damaged_copy_is_made_again_once_for_all(
    net: Path,
    people: Path,
    tmp_path: Path,
    passes: list[str],
    caplog: pytest.LogCaptureFixture,
    both: bool,
) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    one, two = (Storage(predictions=folder, shared=tmp_path / "shared") for folder in folders)
    first = run_cells([net], load(people), one)
    (shared,) = (tmp_path / "shared").iterdir()
    truncate(shared)
    if both:  # it is `one` that has to run again
        truncate(next(folders[0].iterdir()))
    passes.clear()
    with caplog.at_level(logging.WARNING):
        again = run_cells([net], load(people), one if both else two)
    assert "run" in passes and "They are made again" in caplog.text
    passes.clear()
    caplog.clear()
    third = Storage(predictions=tmp_path / "three", shared=tmp_path / "shared")
    with caplog.at_level(logging.WARNING):
        last = run_cells([net], load(people), third)
    assert (passes, caplog.text) == ([], "")
    assert numbers(first) == numbers(again) == numbers(last)


def test_a_flipped_bit_is_told_or_changes_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = Predictions(
        image_ids=np.arange(6),
        ids=np.arange(6),
        keypoints=rng.normal(size=(6, 17, 2)),
        keypoint_scores=rng.random((6, 17)),
        bbox_xyxy=rng.random((6, 4)).astype(np.float32),
        bbox_scores=np.ones(6, dtype=np.float32),
        areas=np.ones(6, dtype=np.float32),
    )
    file = cached_file(tmp_path, {"a": 1})
    write_predictions(file, CachedPredictions(made, 1.5))
    whole = file.path.read_bytes()
    told = 0
    for place in rng.choice(8 * len(whole), 500, replace=False):
        data = bytearray(whole)
        data[place // 8] ^= 1 << (place % 8)
        file.path.write_bytes(data)
        try:
            read = read_predictions(file)
        except DataError:
            told += 1
            continue
        assert read is not None and read.gflops == 1.5
        np.testing.assert_array_equal(read.predictions.keypoints, made.keypoints)
    assert told > 200


def test_a_folder_that_cannot_be_written_costs_a_note(
    net: Path, people: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        (cell,) = run(net, load(people), tmp_path / "file" / "kept")
    assert cell.result.status == "ok"
    assert "Predictions are not kept" in caplog.text


def test_keys_do_not_depend_on_order() -> None:
    assert content_key({"a": 1, "b": [2.5]}) == content_key({"b": [2.5], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 1.5})


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(cache_module, "cache_directory", homeless)
    assert predictions_directory() is None
