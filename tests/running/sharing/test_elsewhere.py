"""Machines that see other data than the plan do not answer, and other clocks do not matter."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from executor_suites import drive, executor_request
from same_runs import run_contents
from small_run import edit_annotations

from posebench.errors import DataError
from posebench.running.executors.jobs import Workers
from posebench.running.executors.remote import RemoteWorker
from posebench.running.request import RunRequest
from posebench.running.sharing.elsewhere import Expected, StartElsewhere
from posebench.running.workload import suite_workloads


@pytest.fixture
def own(tmp_path: Path, people: Path) -> Path:
    """Return a copy of the data, to be changed."""
    return Path(shutil.copytree(people, tmp_path / people.name))


def start(request: RunRequest) -> StartElsewhere:
    found = suite_workloads(request.suite, request.folder, request.limit, lambda *_: None)

    def worker(_request: Any, workloads: Any, loaded: Any, place: str) -> Any:
        assert loaded is None
        return lambda _job, _send: (place, len(workloads))

    return StartElsewhere(worker, request, tuple(map(Expected.of, found)))


def test_a_worker_reads_the_data_itself(tmp_path: Path, own: Path) -> None:
    begin = start(executor_request(tmp_path, own, "run"))
    assert begin("cpu")(None, None) == ("cpu", 1)


def test_an_old_view_of_the_annotations_is_noticed(tmp_path: Path, own: Path) -> None:
    begin = start(executor_request(tmp_path, own, "run"))

    def move(raw: dict[str, Any]) -> None:
        raw["annotations"][0]["bbox"][0] += 1

    edit_annotations(own / "annotations" / "person_keypoints_val.json", move)
    with pytest.raises(DataError, match=r"other data here .*: annotations_sha256, inputs"):
        begin("cpu")
    report = RemoteWorker(Workers(begin, ("cpu",)), "cpu")(None)
    assert report.outcome.died and os.uname().nodename in report.outcome.reason
    assert "annotations_sha256" in report.outcome.reason


def test_an_old_view_of_an_image_is_noticed(tmp_path: Path, own: Path) -> None:
    begin = start(executor_request(tmp_path, own, "run"))
    one, *_ = sorted((own / "val").glob("*.png"))
    one.write_bytes(one.read_bytes() + b"more")
    with pytest.raises(DataError, match="images_sha256"):
        begin("cpu")


def test_a_node_whose_disk_is_full_is_named(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    begin = start(executor_request(tmp_path, own, "run", stage=tmp_path / "stage"))
    monkeypatch.setattr("shutil.copyfile", full)
    report = RemoteWorker(Workers(begin, ("cpu",)), "cpu")(None)
    assert report.outcome.died and "stage cannot be written" in report.outcome.reason
    assert os.uname().nodename in report.outcome.reason


def test_clocks_that_differ_by_an_hour_change_nothing(
    tmp_path: Path, own: Path, people: Path
) -> None:
    request = executor_request(tmp_path, own, "early", axes={})
    drive(request)
    before = run_contents(request.out)
    for hours in (1, -1):
        moment = time.time() + 3600 * hours
        for path in (*own.rglob("*"), *request.out.rglob("*")):
            os.utime(path, (moment, moment))
        late = executor_request(tmp_path, own, f"late{hours}", axes={})
        drive(late)
        # The names of kept predictions too.
        assert run_contents(late.out) == before
        drive(request)
        assert run_contents(request.out) == before
