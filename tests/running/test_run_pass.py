"""One checkpoint over a grid: what is planned, what runs, and what a failure becomes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from passes import planned, run_cells
from small_run import SIZE, small_checkpoint, small_model, small_spec

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.native import save_checkpoint
from posebench.datasets.keypoints import COCO, CROWDPOSE, KEYPOINT_SETS
from posebench.datasets.requests import DataRequest
from posebench.errors import UsageError
from posebench.networks.sizes import InputSize, check_size_text, resolve_size
from posebench.prediction.engines import optimise
from posebench.prediction.execution import Parallelism
from posebench.results.cell import CellResult
from posebench.running import loading, ready
from posebench.running.evaluation import exit_code
from posebench.running.loading import LoadedCheckpoints
from posebench.running.plan import sizes_and_policies
from posebench.running.run_pass import run_pass
from posebench.running.scored import FinishedCell
from posebench.running.workload import Workload, load_workload
from posebench.scoring.evaluate import ScoringOptions
from posebench.suites.suite import Suite

ALL = ("native", "resample", "pool", "interpolate")


@pytest.fixture(scope="module")
def workload(people: Path) -> Workload:
    return load_workload(DataRequest(str(people)), ScoringOptions(), lambda _done, _total: None)


def run(path: Path, workload: Workload, **axes: Any) -> list[FinishedCell]:
    return run_cells([path], workload, **axes)


def shown(cells: list[FinishedCell]) -> list[tuple[str, str | None, str]]:
    return [(str(c.result.size), c.result.policy, c.result.status) for c in cells]


@pytest.mark.parametrize(
    ("text", "size"), [("native", "256x192"), ("0.5x", "128x96"), ("2x", "512x384"), ("8x6", "8x6")]
)
def test_sizes_as_written(text: str, size: str) -> None:
    assert str(resolve_size(text, InputSize(256, 192))) == size


@pytest.mark.parametrize("text", ["", "abc", "nanx", "infx", "-1x", "1e3x", "256", "x", "Native"])
def test_a_size_that_is_none_is_known_at_once(text: str) -> None:
    with pytest.raises(UsageError, match=r"256x192,native,0\.5x"):
        check_size_text(text)


def test_cells_are_distinct_and_in_the_order_asked_for() -> None:
    suite = Suite(
        "s",
        "d",
        (),
        sizes=("native", "128x96", "64x48", "2x"),
        policies=("resample", "native", "pool"),
    )
    small, big = SIZE, InputSize(128, 96)
    assert sizes_and_policies(small_spec("heatmap"), suite.sizes, suite.policies) == [
        (small, "native"),
        (big, "resample"),
        (big, "native"),
    ]
    assert sizes_and_policies(small_spec("simcc"), suite.sizes, suite.policies) == [
        (small, "native"),
        (big, "resample"),
        (big, "native"),
        (big, "pool"),
    ]


def test_a_good_run(tmp_path: Path, workload: Workload) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors", "simcc")
    calls: list[tuple[int, int]] = []
    cells = run_cells(
        [path],
        workload,
        sizes=("native", "96x80"),
        policies=ALL,
        parallelism=Parallelism(4),
        progress=lambda *call: calls.append(call),
    )
    assert shown(cells) == [
        ("64x48", "native", "ok"),
        ("96x80", "native", "unsupported"),
        ("96x80", "resample", "ok"),
        ("96x80", "pool", "ok"),
        ("96x80", "interpolate", "ok"),
    ]
    count = len(workload.instances)
    assert calls[-1] == (count, count)
    first = cells[0].result
    assert first.checkpoint.name == "net"
    assert (first.checkpoint.paradigm, first.checkpoint.trained_size) == ("simcc", SIZE)
    assert first.checkpoint.spec is not None
    assert first.checkpoint.spec["crop"]["padding"] == first.protocol.crop_padding == 1.25
    assert first.checkpoint.spec["keypoints"] == "coco"
    assert (first.protocol.flip_test, first.protocol.decoder) == (True, "argmax")
    assert first.metrics is not None
    assert {"PCK@0.05", "PCK@0.1", "PCK@0.2", "median error"} < set(first.metrics)
    assert first.instances_per_second is not None and first.instances_per_second > 0
    assert first.gflops is not None and 0 < first.gflops < 0.01
    assert cells[0].coco_results is not None
    assert exit_code([cell.result for cell in cells]) == 0


def test_flip_test_as_asked(tmp_path: Path, workload: Workload) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    (cell,) = run(path, workload, flip=(False,))
    assert cell.result.protocol.flip_test is False


@pytest.fixture
def failing_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every network fail in its forward pass."""

    def fail(_x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise RuntimeError("forward pass")

    def loaded(path: Path, spec_file: Path | None = None) -> Any:
        checkpoint = load_checkpoint(path, spec_file)
        checkpoint.network.forward = fail  # type: ignore[attr-defined]
        checkpoint.network.backbone.forward = fail  # type: ignore[attr-defined]
        return checkpoint

    monkeypatch.setattr(loading, "load_checkpoint", loaded)


@pytest.mark.usefixtures("failing_forward")
def test_what_is_unsupported_is_known_without_a_forward_pass(
    tmp_path: Path, workload: Workload
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors", "simcc")
    cells = run(path, workload, sizes=("96x80",), policies=("native", "resample"))
    assert shown(cells) == [("96x80", "native", "unsupported"), ("96x80", "resample", "failed")]
    assert "fixed by training at 64x48" in str(cells[0].result.reason)
    assert "forward pass" in str(cells[1].result.reason)


def test_a_size_off_the_stride_names_the_nearest_valid(tmp_path: Path, workload: Workload) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    (cell,) = run(path, workload, sizes=("100x75",))
    assert cell.result.status == "unsupported"
    assert "multiples of the stride 16. Nearest valid: 96x64 and 112x80" in str(cell.result.reason)
    assert exit_code([cell.result]) == 0


def test_other_keypoints_fail_every_cell(tmp_path: Path, workload: Workload) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors", keypoints=CROWDPOSE)
    cells = run(path, workload, sizes=("native", "96x80"))
    assert shown(cells) == [("64x48", "native", "failed"), ("96x80", "native", "failed")]
    reason = str(cells[0].result.reason)
    assert "predicts 14 keypoints (crowdpose)" in reason
    assert "labels 17 (coco)" in reason
    assert cells[0].result.checkpoint.paradigm == "heatmap"


def test_the_same_keypoints_in_another_order_fail(tmp_path: Path, workload: Workload) -> None:
    names = list(COCO.keypoints)
    names[1], names[2] = names[2], names[1]
    mixed = replace(COCO, name="mixed", keypoints=tuple(names))
    path = small_checkpoint(tmp_path / "mixed.safetensors", keypoints=mixed)
    (cell,) = run(path, workload)
    assert "Keypoint 1 of the checkpoint is right_eye (mixed)" in str(cell.result.reason)
    words = tuple(f"point {index}" for index in range(17))
    renamed = replace(COCO, name="renamed", keypoints=words)
    (cell,) = run(small_checkpoint(tmp_path / "r.safetensors", keypoints=renamed), workload)
    assert cell.result.status == "ok"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def poison(path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["backbone.conv1.weight"][0] = float("nan")
    save_file(tensors, path, metadata)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "damaged or cut off"),
        (poison, r"1 of \d+ tensors hold NaN or infinite values, first: backbone.conv1.weight"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"\xff\xd8\xff"), "JPEG"),
    ],
)
def test_a_checkpoint_that_cannot_be_loaded_is_one_failed_result(
    tmp_path: Path, workload: Workload, damage: Callable[[Path], Any], said: str
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    damage(path)
    (cell,) = run(path, workload, sizes=("native", "96x80"))
    assert shown([cell]) == [("None", None, "failed")]
    assert cell.result.checkpoint.name == "net"
    assert re.search(said, str(cell.result.reason))
    assert exit_code([cell.result]) == 3


def test_a_size_factor_out_of_range_is_a_failed_result(tmp_path: Path, workload: Workload) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    (cell,) = run(path, workload, sizes=("0.001x",))
    assert "Input size 0x0 is out of range" in str(cell.result.reason)


def test_a_defect_of_our_own_is_a_failed_result(
    tmp_path: Path, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")

    def defect(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("posebench.running.scored.evaluate", defect)
    (cell,) = run(path, workload)
    assert cell.result.reason == "internal error, KeyError: 'oops' (--debug shows where)"


def test_exit_codes() -> None:
    from small_run import made_up

    def code(*statuses: Any) -> int:
        results: list[CellResult] = [
            made_up("a", "64x48", "native", None, status) for status in statuses
        ]
        return exit_code(results)

    assert code("ok", "unsupported") == 0
    assert code("ok", "failed") == 3
    assert code("ok", "skipped") == 3


def test_a_larger_set_is_scored_by_the_names_it_shares(tmp_path: Path, workload: Workload) -> None:
    halpe26 = KEYPOINT_SETS["halpe26"]
    path = small_checkpoint(tmp_path / "net.safetensors", keypoints=halpe26)
    (cell,) = run(path, workload)
    assert (cell.result.status, cell.result.reason) == ("ok", None)
    assert cell.result.protocol.scored_keypoints == "17 of 26 by name"
    assert cell.coco_results is not None
    assert {np.size(np.array(row["keypoints"])) for row in cell.coco_results} == {17 * 3}


def test_a_checkpoint_that_fails_in_the_middle_leaves_every_other_in_its_place(
    tmp_path: Path, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for seed, path in enumerate(paths):
        save_checkpoint(path, small_model("heatmap", seed), {}, dtype=torch.float32)
    axes: dict[str, Any] = {"decoders": ("dark", "argmax"), "sizes": ("native", "96x80")}
    whole = run_cells(paths, workload, **axes)

    def failing(network: Any, execution: Any, crops: Any) -> Any:
        first = next(network.parameters())
        if torch.equal(first, next(small_model("heatmap", 1).parameters())):
            raise RuntimeError("the second one")
        return optimise(network, execution, crops)

    monkeypatch.setattr(ready, "optimise", failing)
    found = run_cells(paths, workload, **axes)
    for before, after in zip(whole, found, strict=True):
        name = after.result.checkpoint.name
        assert (name, after.result.protocol) == (
            before.result.checkpoint.name,
            before.result.protocol,
        )
        assert after.result.status == ("failed" if name == "b" else "ok")
        if name != "b":
            assert (after.result.metrics, after.coco_results) == (
                before.result.metrics, before.coco_results,
            )  # fmt: skip


def test_a_file_that_is_changed_after_planning_fails_and_says_so(
    tmp_path: Path, workload: Workload
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    cells = planned([path], workload)
    save_checkpoint(path, small_model("heatmap", 1), {}, dtype=torch.float32)
    ((_, done),) = run_pass(
        cells, workload, Parallelism(), LoadedCheckpoints(), lambda _done, _total: None
    )
    assert done.result.status == "failed"
    assert "was changed while the run was under way" in str(done.result.reason)


def test_a_faster_network_is_tried_on_the_first_crops_of_the_run(
    tmp_path: Path, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    tried = []

    def noted(network: Any, execution: Any, crops: Any) -> Any:
        tried.append(crops)
        return optimise(network, execution, crops)

    monkeypatch.setattr(ready, "optimise", noted)
    (cell,) = run_cells([path], workload)
    assert cell.result.status == "ok"
    (crops,) = tried
    assert crops.shape == (min(8, len(workload.instances)), 3, 64, 48)
    assert crops.std() > 0.1
