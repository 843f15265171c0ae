"""Killed passes: what was kept is not run again, and no number tells that they were killed."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_run
import torch
from numpy.typing import NDArray
from passes import planned, run_cells
from small_run import small_checkpoint

from posebench.datasets.requests import DataRequest
from posebench.datasets.synthetic import write_dataset
from posebench.errors import DataError, EvaluationError
from posebench.networks.codecs import decode_by
from posebench.prediction import crop_batches, predict as predict_module, segments
from posebench.prediction.crops import cut_crops
from posebench.prediction.execution import Parallelism
from posebench.prediction.flip import predict_outputs
from posebench.prediction.kept.parts import Span, kept_batch_size
from posebench.prediction.kept.predictions import CachedFile, load_predictions
from posebench.prediction.predictions import Predictions
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Storage
from posebench.running.run_pass import _with_fitting_batch, run_segment
from posebench.running.scored import FinishedCell
from posebench.running.sharing.jobs import Segment
from posebench.running.workload import Workload, load_workload
from posebench.scoring.evaluate import ScoringOptions

BATCH = 2
LANES = pytest.mark.parametrize("lanes", [1, 2])


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("weights")
    kinds = ("heatmap", "simcc")
    return [small_checkpoint(folder / f"{kind}.safetensors", kind) for kind in kinds]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_dataset(folder, split="val", count=10)
    return folder


@pytest.fixture(scope="module")
def workload(scenes: Path) -> Workload:
    made = load_workload(DataRequest(str(scenes)), ScoringOptions(), lambda *_: None)
    assert len(made.instances) > 6 * BATCH
    return made


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep predictions after every batch of each lane, on one thread each."""
    monkeypatch.setattr(segments, "_KEEP_EVERY", 0.0)
    monkeypatch.setattr(segments, "_FIRST_BATCHES", 1)
    # Networks are tried on crops of the run before: those do not count.
    monkeypatch.setattr("posebench.running.ready._trial", lambda *_: None)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """List the crops that are cut, by their size."""
    seen: list[tuple[int, ...]] = []

    def counted(*arguments: Any) -> NDArray[np.uint8]:
        crops = cut_crops(*arguments)
        seen.extend([crops.shape[1:3]] * len(crops))
        return crops

    monkeypatch.setattr(crop_batches, "cut_crops", counted)
    return seen


def run(
    nets: Sequence[Path], workload: Workload, cache: Path | None, lanes: int = 1, **grid: Any
) -> list[FinishedCell]:
    grid = {"parallelism": Parallelism(BATCH, lanes), **grid}
    return run_cells(nets, workload, Storage(predictions=cache), **grid)


def stop_after(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """Let the networks' call number `calls` be stopped by Ctrl-C."""
    left = iter(range(calls))

    def stopped(*arguments: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return predict_outputs(*arguments, **options)

    monkeypatch.setattr(predict_module, "predict_outputs", stopped)


def killed(monkeypatch: pytest.MonkeyPatch, calls: int, *arguments: Any, **options: Any) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, calls)
        with pytest.raises(KeyboardInterrupt):
            run(*arguments, **options)


def parts(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.part.npz"))


def numbers(cells: Sequence[FinishedCell]) -> list[Any]:
    return [(cell.result.protocol, cell.result.metrics, cell.coco_results) for cell in cells]


def same(one: Path, other: Path) -> None:
    """Compare two folders of predictions bit by bit."""
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir()) and names
    for name in names:
        a, b = load_predictions(one / name), load_predictions(other / name)
        for field in fields(Predictions):
            np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


@LANES
def test_segments_move_nothing(
    nets: list[Path],
    workload: Workload,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lanes: int,
) -> None:
    run(nets, workload, tmp_path / "segments", lanes)
    assert parts(tmp_path / "segments") == []
    monkeypatch.setattr(segments, "_FIRST_BATCHES", 1000)
    run(nets, workload, tmp_path / "whole", lanes)
    same(tmp_path / "segments", tmp_path / "whole")


@LANES
@pytest.mark.parametrize("calls", [0, 3, 5, 8])
def test_a_killed_pass_goes_on_where_it_was(
    nets: list[Path],
    workload: Workload,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut: list[Any],
    lanes: int,
    calls: int,
) -> None:
    whole = numbers(run(nets, workload, tmp_path / "whole", lanes))
    killed(monkeypatch, calls, nets, workload, tmp_path / "kept", lanes)
    # Both networks have run the batches of a segment when it ends.
    done = calls // (2 * lanes) * lanes * BATCH
    assert len(parts(tmp_path / "kept")) == (2 * done) // (lanes * BATCH)
    cut.clear()
    again = run(nets, workload, tmp_path / "kept", lanes)
    assert len(cut) == len(workload.instances) - done
    assert numbers(again) == whole
    assert all(cell.result.instances_per_second for cell in again)
    same(tmp_path / "kept", tmp_path / "whole")


@LANES
def test_spans_that_others_predicted_are_gathered(
    nets: list[Path], workload: Workload, tmp_path: Path, cut: list[Any], lanes: int
) -> None:
    run(nets, workload, tmp_path / "whole", lanes)
    storage, loaded = Storage(predictions=tmp_path / "spans"), LoadedCheckpoints()
    cells = planned(nets[:1], workload, storage, loaded)
    whole = (len(workload.instances) // BATCH) * BATCH
    for span in (Span(6, whole), Span(0, 6), Span(whole, len(workload.instances))):
        if span.start < span.stop:
            segment = Segment(cells, span)
            run_segment(segment, workload, Parallelism(BATCH, lanes), loaded, lambda *_: None)
    assert parts(tmp_path / "spans")
    cut.clear()
    steps: list[int] = []
    run(nets[:1], workload, tmp_path / "spans", lanes, progress=lambda done, _: steps.append(done))
    assert (cut, steps) == ([], [len(workload.instances)])
    for path in (tmp_path / "spans").iterdir():
        one, other = load_predictions(path), load_predictions(tmp_path / "whole" / path.name)
        for field in fields(Predictions):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_a_process_killed_at_once_loses_one_segment(
    nets: list[Path], scenes: Path, workload: Workload, tmp_path: Path, cut: list[Any]
) -> None:
    code = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(small_run.__file__).parent)]!r}
import torch
import test_segments as tests
from pathlib import Path
torch.set_num_threads(1)
import posebench.running.ready as ready
ready._trial = lambda *_: None
tests.segments._KEEP_EVERY, tests.segments._FIRST_BATCHES = 0.0, 1
cut_crops, left = tests.cut_crops, iter(range(5))
def cut(*arguments):
    if next(left, None) is None:
        os.kill(os.getpid(), {signal.SIGKILL})
    return cut_crops(*arguments)
tests.crop_batches.cut_crops = cut
data = tests.DataRequest({str(scenes)!r})
workload = tests.load_workload(data, tests.ScoringOptions(), lambda *_: None)
tests.run([Path({str(nets[0])!r})], workload, Path({str(tmp_path / "kept")!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run(nets[:1], workload, tmp_path / "whole")
    cut.clear()
    run(nets[:1], workload, tmp_path / "kept")
    assert len(cut) == len(workload.instances) - 5 * BATCH
    same(tmp_path / "kept", tmp_path / "whole")


def test_a_cell_that_is_ahead_waits_for_the_others(
    nets: list[Path],
    workload: Workload,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(nets, workload, tmp_path / "whole")
    killed(monkeypatch, 4, nets[1:], workload, tmp_path / "kept")
    calls: list[str] = []

    def counted(network: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(network.spec.paradigm)
        return predict_outputs(network, *arguments, **options)

    monkeypatch.setattr(predict_module, "predict_outputs", counted)
    run(nets, workload, tmp_path / "kept")
    batches = -(-len(workload.instances) // BATCH)
    assert calls[:4] == ["heatmap"] * 4
    assert (calls.count("heatmap"), calls.count("simcc")) == (batches, batches - 4)
    same(tmp_path / "kept", tmp_path / "whole")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def swap(path: Path) -> None:
    other = next(each for each in parts(path.parent) if each.name[:64] != path.name[:64])
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("damage", [truncate, swap, lambda path: path.write_bytes(b"")])
def test_damaged_and_foreign_parts_are_made_again(
    nets: list[Path],
    workload: Workload,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut: list[Any],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
) -> None:
    run(nets, workload, tmp_path / "whole")
    killed(monkeypatch, 6, nets, workload, tmp_path / "kept")
    second = next(
        path for path in parts(tmp_path / "kept") if f".{BATCH}-{2 * BATCH}." in path.name
    )
    damage(second)
    cut.clear()
    with caplog.at_level(logging.WARNING):
        run(nets, workload, tmp_path / "kept")
    assert second.name in caplog.text and "They are made again." in caplog.text
    assert len(cut) == len(workload.instances) - BATCH
    same(tmp_path / "kept", tmp_path / "whole")


def test_other_batches_are_other_parts(
    nets: list[Path],
    workload: Workload,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut: list[Any],
) -> None:
    killed(monkeypatch, 6, nets, workload, tmp_path / "kept")
    cut.clear()
    other = Parallelism(BATCH + 1)
    run(nets, workload, tmp_path / "kept", parallelism=other)
    assert len(cut) == len(workload.instances)
    assert parts(tmp_path / "kept") == []
    run(nets, workload, tmp_path / "whole", parallelism=other)
    same(tmp_path / "kept", tmp_path / "whole")


def test_a_decoder_that_fails_leaves_the_others_alone(
    nets: list[Path], workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(10**6))

    def decode(decoder: str, *arguments: Any) -> Any:
        if decoder == "udp" and next(calls) == 2:
            raise EvaluationError("udp cannot")
        return decode_by(decoder, *arguments)  # type: ignore[arg-type]

    run(nets[:1], workload, tmp_path / "whole", decoders=("dark", "argmax"))
    monkeypatch.setattr("posebench.prediction.decoding.decode_by", decode)
    cells = run(nets[:1], workload, tmp_path / "kept", decoders=("dark", "udp", "argmax"))
    assert [cell.result.status for cell in cells] == ["ok", "failed", "ok"]
    assert cells[1].result.reason == "udp cannot"
    for path in parts(tmp_path / "kept"):
        path.unlink()
    same(tmp_path / "kept", tmp_path / "whole")


def test_what_cannot_be_kept_on_the_way_is_only_said(
    nets: list[Path],
    workload: Workload,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: Any) -> None:
        raise DataError("The disk is full.")

    monkeypatch.setattr(segments, "write_part", full)
    with caplog.at_level(logging.WARNING):
        cells = run(nets, workload, tmp_path)
    assert [cell.result.status for cell in cells] == ["ok", "ok"]
    assert "not kept: The disk is full." in caplog.text


def test_progress_starts_where_the_killed_run_was(
    nets: list[Path], workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(monkeypatch, 4, nets[:1], workload, tmp_path)
    shown: list[tuple[int, int]] = []
    run_cells(
        nets[:1],
        workload,
        Storage(predictions=tmp_path),
        parallelism=Parallelism(BATCH),
        progress=lambda done, total: shown.append((done, total)),
    )
    count = len(workload.instances)
    assert shown[0] == (4 * BATCH, count) and shown[-1] == (count, count)


def test_a_run_that_goes_on_keeps_the_batches_that_were_tried(
    nets: list[Path], workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU the size of batches is found by trying, which may end otherwise another time."""
    tried: list[int] = []

    def probed(networks: Sequence[Any], _device: torch.device) -> int:
        tried.append(len(networks))
        return BATCH if len(tried) == 1 else 2 * BATCH

    monkeypatch.setattr("posebench.running.run_pass.probed_batch", probed)
    killed(monkeypatch, 4, nets[:1], workload, tmp_path / "kept", probed=True)
    assert {path.name.split(".")[1] for path in parts(tmp_path / "kept")} == {f"batch{BATCH}"}
    first, *others = parts(tmp_path / "kept")
    first.unlink()
    assert others
    run(nets[:1], workload, tmp_path / "kept", probed=True)
    assert tried == [1]
    run(nets[:1], workload, tmp_path / "whole")
    same(tmp_path / "kept", tmp_path / "whole")


def test_the_batches_of_most_kept_answers_go_on(tmp_path: Path) -> None:
    files = [CachedFile(tmp_path / f"{name}.npz", {}) for name in "ab"]
    assert kept_batch_size(files) is None
    for name in (
        "a.batch128.0-128", "a.batch64.640-1280", "b.batch128.0-256", "b.batch64.64-128",
        "c.batch32.0-9999",
    ):  # fmt: skip
        (tmp_path / f"{name}.part.npz").touch()
    assert kept_batch_size(files) == 64
    assert kept_batch_size(files[1:]) == 128


def test_outputs_that_are_kept_need_no_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_with(raw: Any) -> Any:
        return SimpleNamespace(network="net", flip_test=True, device="cpu", raw=raw, files={})

    tried: list[Any] = []

    def probed(found: Sequence[Any], _device: torch.device) -> int:
        tried.append(found)
        return 128

    monkeypatch.setattr("posebench.running.run_pass.probed_batch", probed)
    done, due = (run_with(SimpleNamespace(is_complete=each)) for each in (True, False))
    assert _with_fitting_batch(Parallelism(64), [done]) == Parallelism(64)
    assert not tried
    assert _with_fitting_batch(Parallelism(64), [done, due]) == Parallelism(128)
    assert tried == [[("net", True)]]
