"""Many checkpoints: what is kept, what is written, what is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_run import made_up, small_checkpoint

from posebench.datasets.coco import PoseDataset
from posebench.datasets.image_files import dataset_image
from posebench.datasets.requests import DataRequest
from posebench.errors import CheckpointError, DataError, PosebenchError, SpecError, UsageError
from posebench.prediction import crop_batches
from posebench.prediction.execution import Execution, Resources
from posebench.reporting.results_table import print_results
from posebench.running import evaluate as evaluation_run
from posebench.running.cells import Grid
from posebench.running.evaluate import EvaluationRequest, Outputs, run_evaluation
from posebench.running.run_cells import exit_code
from posebench.running.scored import FinishedCell
from posebench.running.sources import checkpoint_sources
from posebench.scoring.evaluate import ScoringOptions


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def names(*paths: Path) -> list[str]:
    return [source.name for source in checkpoint_sources([str(path) for path in paths], None)]


def test_names_tell_files_apart(tmp_path: Path) -> None:
    a, b = touch(tmp_path / "a" / "best.pth"), touch(tmp_path / "b" / "best.pth")
    onnx, other = touch(tmp_path / "b" / "best.onnx"), touch(tmp_path / "other.pth")
    assert names(a) == ["best"]
    assert names(a, other) == ["best", "other"]
    assert names(a, b, other) == ["a/best.pth", "b/best.pth", "other"]
    assert names(b, onnx) == ["best.pth", "best.onnx"]


def test_a_file_given_twice_runs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = touch(tmp_path / "a.pth")
    monkeypatch.chdir(tmp_path)
    assert names(path, Path("a.pth"), Path("./a.pth")) == ["a"]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no embedded checkpoints"):
        checkpoint_sources([], None)
    with pytest.raises(CheckpointError, match="no file"):
        checkpoint_sources([str(tmp_path / "none.pth")], None)
    with pytest.raises(SpecError, match="no file"):
        checkpoint_sources([str(touch(tmp_path / "a.pth"))], tmp_path / "none.yaml")


def request(people: Path, *checkpoints: Path, **more: Any) -> EvaluationRequest:
    return EvaluationRequest(tuple(map(str, checkpoints)), data=DataRequest(str(people)), **more)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"scoring": ScoringOptions(nms_threshold=0.0)}, "--nms-threshold 0"),
        ({"scoring": ScoringOptions(nms_threshold=float("nan"))}, "--nms-threshold nan"),
        ({"scoring": ScoringOptions(keypoint_threshold=float("nan"))}, "--keypoint-threshold nan"),
        ({"grid": Grid(sizes=("native", "96x80"))}, "up to 2 cells"),
        ({"grid": Grid(decoders=("own", "dark", "udp"))}, "up to 3 cells"),
    ],
)
def test_options_that_cannot_work(tmp_path: Path, people: Path, more: Any, said: str) -> None:
    outputs = Outputs(predictions=tmp_path / "p.json")
    asked = request(people, touch(tmp_path / "a.pth"), outputs=outputs, **more)
    with pytest.raises(UsageError, match=said):
        run_evaluation(asked, lambda *_: None)


@pytest.mark.parametrize("kind", ["results", "predictions", "folder", "raw"])
def test_outputs_that_cannot_be_written_are_known_first(
    tmp_path: Path, people: Path, kind: str
) -> None:
    blocked = touch(tmp_path / "file") / "below"
    outputs = Outputs(**{kind: blocked})
    with pytest.raises(UsageError, match=r"below.* cannot be written: it lies below a file"):
        run_evaluation(request(people, touch(tmp_path / "a.pth"), outputs=outputs), lambda *_: None)
    if kind not in ("folder", "raw"):
        outputs = Outputs(**{kind: tmp_path})
        with pytest.raises(UsageError, match="is a folder"):
            run_evaluation(
                request(people, touch(tmp_path / "a.pth"), outputs=outputs), lambda *_: None
            )


def test_a_disk_that_fills_up_is_an_error_with_the_file(
    tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluation_run, "write_json", full)
    asked = request(
        people, small_checkpoint(tmp_path / "a.safetensors"), outputs=Outputs(folder=tmp_path / "o")
    )
    with pytest.raises(DataError, match=r"a_64x48_native\.json cannot be written: No space left"):
        run_evaluation(asked, lambda *_: None)


def test_results_are_written_after_each_checkpoint_and_ctrl_c_keeps_them(
    tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    written: list[list[str]] = []
    results_file = tmp_path / "r.json"

    def cells(source: Any) -> Any:
        if results_file.exists():
            document = json.loads(results_file.read_text())
            written.append([row["checkpoint"]["name"] for row in document["results"]])
        result = made_up(source.name, "64x48", "native", 0.5)
        yield FinishedCell(result, [])
        if source.name == "b":
            raise KeyboardInterrupt

    def run_pass(sources: Any, *_: object) -> Any:
        for source in sources:
            yield source, cells(source)

    monkeypatch.setattr(evaluation_run, "run_pass", run_pass)
    paths = [touch(tmp_path / f"{name}.pth") for name in "abc"]
    results = run_evaluation(
        request(people, *paths, outputs=Outputs(results=results_file)), lambda *_: None
    )
    assert exit_code(results) == 3
    assert written == [["a"]]
    rows = json.loads(results_file.read_text())["results"]
    assert [(row["checkpoint"]["name"], row["status"]) for row in rows] == [
        ("a", "ok"),
        ("b", "ok"),
        ("b", "skipped"),
        ("c", "skipped"),
    ]
    print_results(results)
    assert "skipped: b, c: stopped by Ctrl-C" in capsys.readouterr().out


def test_checkpoints_share_images_and_stay_in_order(
    tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def counted(dataset: PoseDataset, index: int) -> Any:
        reads.append(dataset.images[index].path)
        return dataset_image(dataset, index)

    monkeypatch.setattr(crop_batches, "dataset_image", counted)
    paths = [
        small_checkpoint(tmp_path / "c.safetensors"),
        touch(tmp_path / "b.pth"),
        small_checkpoint(tmp_path / "a.safetensors", "simcc"),
    ]
    outputs = Outputs(folder=tmp_path / "o")
    assert exit_code(run_evaluation(request(people, *paths, outputs=outputs), lambda *_: None)) == 3
    assert len(reads) == len(set(reads)) == 4
    rows = json.loads((tmp_path / "o" / "results.json").read_text())["results"]
    assert [(row["checkpoint"]["name"], row["status"]) for row in rows] == [
        ("c", "ok"),
        ("b", "failed"),
        ("a", "ok"),
    ]
    alone = Outputs(folder=tmp_path / "alone")
    assert exit_code(run_evaluation(request(people, paths[2], outputs=alone), lambda *_: None)) == 0
    name = "predictions/a_64x48_native.json"
    assert (tmp_path / "o" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_several_devices_are_for_suites(tmp_path: Path, people: Path) -> None:
    grid = Grid(execution=Execution(device="cpu,cpu"))
    with pytest.raises(UsageError, match="eval runs on one device"):
        run_evaluation(request(people, touch(tmp_path / "a.pth"), grid=grid), lambda *_: None)


def test_threads_are_set_and_recorded(
    tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2
    import torch

    before = (torch.get_num_threads(), cv2.getNumThreads())
    try:
        path = small_checkpoint(tmp_path / "a.safetensors")
        outputs = Outputs(results=tmp_path / "r.json")
        asked = request(people, path, resources=Resources(threads=3), outputs=outputs)
        assert exit_code(run_evaluation(asked, lambda *_: None)) == 0
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 1)
        settings = json.loads((tmp_path / "r.json").read_text())["settings"]
        assert settings == {
            "torch_threads": 3,
            "batch_size": 8,
            "lanes": 3,
            "workers": 0,
            "device": "cpu",
        }
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_errors_of_the_data_come_before_any_checkpoint_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_run, "run_pass", None)
    with pytest.raises(PosebenchError, match="no data set"):
        run_evaluation(request(tmp_path / "none", touch(tmp_path / "a.pth")), lambda *_: None)
