"""A suite made of options: its results, what is written, what is refused before any work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from small_run import small_checkpoint

from posebench.datasets.coco import PoseDataset
from posebench.datasets.images.files import dataset_image
from posebench.errors import DataError, PosebenchError, UsageError
from posebench.files.json_file import read_json
from posebench.prediction import crop_batches
from posebench.prediction.execution import Resources
from posebench.results.store import StoredCell, read_run
from posebench.running import run_pass as pass_module
from posebench.running.evaluation import exit_code, run_directory, run_results
from posebench.running.network_plans import Storage
from posebench.running.request import ProgressDisplay, RunRequest
from posebench.running.sources import checkpoint_entries
from posebench.suites.suite import DatasetEntry, ScoringEntry, Suite

SILENT = ProgressDisplay(lambda *_: None)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def request(out: Path, people: Path, *checkpoints: Path, **more: Any) -> RunRequest:
    axes = {name: more.pop(name) for name in ("sizes", "decoders") if name in more}
    suite = Suite(
        "eval",
        "d",
        checkpoint_entries([str(path) for path in checkpoints], None),
        (DatasetEntry(str(people)),),
        scoring=ScoringEntry(replicates=20),
        **axes,
    )
    return RunRequest(suite, (), Path(), out, source=str(Path.cwd()), **more)


@pytest.mark.parametrize(
    ("axes", "cells"),
    [({"sizes": ("native", "96x80")}, 2), ({"decoders": ("own", "dark", "udp")}, 3)],
)
def test_coco_results_are_of_one_cell(
    tmp_path: Path, people: Path, axes: dict[str, Any], cells: int
) -> None:
    asked = request(tmp_path / "o", people, touch(tmp_path / "a.pth"), **axes)
    with pytest.raises(UsageError, match=f"up to {cells} cells"):
        run_results(replace(asked, coco_results=tmp_path / "p.json"), SILENT)


@pytest.mark.parametrize("kind", ["json", "coco_results", "out", "raw"])
def test_outputs_that_cannot_be_written_are_known_first(
    tmp_path: Path, people: Path, kind: str
) -> None:
    def run(place: Path) -> None:
        options: dict[str, Any] = {"storage": Storage(raw=place)} if kind == "raw" else {}
        options |= {kind: place} if kind == "coco_results" else {}
        with run_directory(place if kind == "out" else tmp_path / "o") as out:
            asked = request(out, people, touch(tmp_path / "a.pth"), **options)
            run_results(asked, SILENT, place if kind == "json" else None)

    with pytest.raises(UsageError, match=r"below.* cannot be written: it lies below a file"):
        run(touch(tmp_path / "file") / "below")
    if kind == "json":
        with pytest.raises(UsageError, match="is a folder"):
            run(tmp_path)


def test_a_disk_that_fills_up_is_an_error_with_the_file(
    tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pass_module, "write_json", full)
    path = small_checkpoint(tmp_path / "a.safetensors")
    asked = request(tmp_path / "o", people, path, coco_results=tmp_path / "p.json")
    with pytest.raises(DataError, match=r"p\.json cannot be written: No space left"):
        run_results(asked, SILENT)


class Stops:
    """A display that presses Ctrl-C after a number of cells, and looks at the file till then."""

    def __init__(self, after: int, file: Path) -> None:
        self.written: list[list[str]] = []
        self._after = after
        self._file = file

    def progress(self, *_: Any) -> None: ...

    def planned(self, *_: Any) -> None: ...

    def started(self, *_: Any) -> None: ...

    def finished(self, _cell: StoredCell) -> None:
        rows = json.loads(self._file.read_text())["results"]
        self.written.append([row["checkpoint"]["name"] for row in rows])
        if len(self.written) == self._after:
            raise KeyboardInterrupt


def test_results_are_written_after_each_cell_and_ctrl_c_keeps_them(
    tmp_path: Path, people: Path
) -> None:
    paths = [small_checkpoint(tmp_path / f"{name}.safetensors") for name in "abc"]
    file, asked = tmp_path / "r.json", request(tmp_path / "o", people, *paths)
    display = Stops(2, file)
    done = run_results(asked, display, file)
    assert display.written == [["a"], ["a", "b"]]
    rows = json.loads(file.read_text())["results"]
    shown = [(row["checkpoint"]["name"], row["status"], row["reason"]) for row in rows]
    assert shown == [
        ("a", "ok", None),
        ("b", "ok", None),
        ("c", "skipped", "stopped by Ctrl-C"),
    ]
    assert (done.stopped, done.exit_code, len(done.results)) == (True, 3, 3)
    # What is skipped is not in the run directory, and a second call goes on.
    assert len(read_run(tmp_path / "o").cells) == 2
    again = run_results(asked, SILENT, file)
    assert [result.status for result in again.results] == ["ok"] * 3
    assert again.results[:2] == done.results[:2]


def test_ctrl_c_before_anything_is_known_is_passed_on(tmp_path: Path, people: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    path = small_checkpoint(tmp_path / "a.safetensors")
    with pytest.raises(KeyboardInterrupt):
        run_results(request(tmp_path / "o", people, path), ProgressDisplay(stop))


def test_checkpoints_share_images_and_stay_in_order(
    tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def counted(dataset: PoseDataset, index: int) -> Any:
        reads.append(dataset.images[index].path)
        return dataset_image(dataset, index)

    monkeypatch.setattr(crop_batches, "dataset_image", counted)
    monkeypatch.setattr("posebench.running.ready._trial", lambda *_: None)
    paths = [
        small_checkpoint(tmp_path / "c.safetensors"),
        touch(tmp_path / "b.pth"),
        small_checkpoint(tmp_path / "a.safetensors", "simcc"),
    ]
    done = run_results(request(tmp_path / "o", people, *paths), SILENT)
    assert exit_code(done.results) == done.exit_code == 3
    assert len(reads) == len(set(reads)) == 4
    assert [(row.checkpoint.name, row.status) for row in done.results] == [
        ("c", "ok"),
        ("b", "failed"),
        ("a", "ok"),
    ]
    alone = run_results(request(tmp_path / "alone", people, paths[2]), SILENT)
    assert (alone.exit_code, alone.results[0].metrics) == (0, done.results[2].metrics)
    together = read_run(tmp_path / "o")
    (cell,) = [each for each in together.cells if each.result.checkpoint.name == "a"]
    assert cell.predictions is not None  # by the hash of all they rest on
    name = f"predictions/{cell.predictions}.npz"
    assert (tmp_path / "o" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_a_cell_that_is_done_is_read_once(
    tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [small_checkpoint(tmp_path / f"{name}.safetensors") for name in "ab"]
    asked = request(tmp_path / "o", people, *paths)
    first = run_results(asked, SILENT)
    read: list[Path] = []

    def counted(path: Path, what: str) -> Any:
        read.append(path)
        return read_json(path, what)

    monkeypatch.setattr("posebench.results.store.read_json", counted)
    again = run_results(asked, SILENT)
    assert again.results == first.results
    assert sorted(path.name for path in read) == sorted(
        path.name for path in (tmp_path / "o" / "cells").iterdir()
    )


@pytest.fixture
def own_threads() -> Iterator[None]:
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.mark.usefixtures("own_threads")
def test_threads_are_set_and_recorded(tmp_path: Path, people: Path) -> None:
    path = small_checkpoint(tmp_path / "a.safetensors")
    asked = request(tmp_path / "o", people, path, resources=Resources(threads=3))
    assert run_results(asked, SILENT, tmp_path / "r.json").exit_code == 0
    assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 1)
    settings = json.loads((tmp_path / "r.json").read_text())["settings"]
    assert settings == {
        "torch_threads": 3,
        "batch_size": 8,
        "lanes": 3,
        "workers": 0,
        "device": "cpu",
    }


def test_errors_of_the_data_come_before_any_checkpoint_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posebench.running.loading.load_checkpoint", None)
    with pytest.raises(PosebenchError, match="no data set"):
        run_results(request(tmp_path / "o", tmp_path / "none", touch(tmp_path / "a.pth")), SILENT)


def test_a_run_directory_that_nobody_asked_for_goes_away(tmp_path: Path) -> None:
    with run_directory(None) as folder:
        assert folder.is_dir()
    assert not folder.exists()
    with run_directory(tmp_path / "mine") as folder:
        assert folder == tmp_path / "mine"


def test_a_folder_gets_the_predictions_of_every_cell(tmp_path: Path, people: Path) -> None:
    path = small_checkpoint(tmp_path / "a.safetensors")
    asked = request(tmp_path / "o", people, path, coco_results=tmp_path / "predictions")
    suite = replace(asked.suite, sizes=("native", "96x80"))
    run_results(replace(asked, suite=suite), SILENT)
    cells = read_run(tmp_path / "o").record.cells
    names = sorted(file.name for file in (tmp_path / "predictions").iterdir())
    assert names == sorted(f"{name}.json" for name in cells) and len(names) == 2
    with pytest.raises(UsageError, match="is one file, but up to 2 cells"):
        one = replace(asked, suite=suite, coco_results=tmp_path / "p.json")
        run_results(one, SILENT)


def test_a_run_that_only_adds_keeps_what_it_has(tmp_path: Path, people: Path) -> None:
    first, second = (small_checkpoint(tmp_path / f"{name}.safetensors") for name in "ab")
    out = tmp_path / "o"
    run_results(replace(request(out, people, first), only_adds=True), SILENT)
    done = run_results(replace(request(out, people, second), only_adds=True), SILENT)
    assert [result.checkpoint.name for result in done.results] == ["b"]
    run = read_run(out)
    assert [cell.result.checkpoint.name for cell in run.cells] == ["a", "b"]
    assert run.missing == ()
    run_results(request(out, people, second), SILENT)
    assert [cell.result.checkpoint.name for cell in read_run(out).cells] == ["b"]


@pytest.mark.parametrize("damaged", ["run.yaml", "cell"])
def test_what_a_newer_version_wrote_is_not_written_over(
    tmp_path: Path, people: Path, damaged: str
) -> None:
    asked = request(tmp_path / "o", people, small_checkpoint(tmp_path / "a.safetensors"))
    run_results(asked, SILENT)
    (cell,) = (tmp_path / "o" / "cells").iterdir()
    file = tmp_path / "o" / "run.yaml" if damaged == "run.yaml" else cell
    text = file.read_text(encoding="utf-8")
    if damaged == "run.yaml":
        newer = text.replace("schema_version: 2", "schema_version: 9")
    else:
        plain = json.loads(text)
        del plain["sha256"]
        newer = json.dumps({**plain, "schema_version": 9})
    assert newer != text
    file.write_text(newer, encoding="utf-8")
    with pytest.raises(DataError, match="schema 9"):
        run_results(asked, SILENT)
    assert file.read_text(encoding="utf-8") == newer
