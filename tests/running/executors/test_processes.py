"""Jobs in processes: each done once, by devices side by side, whatever becomes of a process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from posebench.errors import DataError, UsageError
from posebench.running.executors.processes import Death, Send, device_names, run_on_devices


def work(device: str, job: Any, send: Send) -> None:
    """Do what a job says, in another process."""
    kind, argument = job
    send(("began", device, job, os.getpid()))
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "exit":
        os._exit(5)
    if kind == "fail":
        raise DataError("full", hint="make room")
    if kind == "meet":  # both devices have to be there
        own, other = argument
        Path(own).touch()
        while not Path(other).exists():
            time.sleep(0.01)
    if kind == "sleep":
        time.sleep(60)


def run(jobs: list[Any], devices: tuple[str, ...] = ("cpu:0", "cpu:1")) -> list[Any]:
    messages: list[Any] = []
    run_on_devices(work, jobs, devices, messages.append)
    assert multiprocessing.active_children() == []
    return messages


def test_devices_work_side_by_side(tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    messages = run([("meet", (a, b)), ("meet", (b, a)), ("none", 1), ("none", 2), ("none", 3)])
    assert {device for _, device, _, _ in messages} == {"cpu:0", "cpu:1"}
    assert sorted(job[1] for _, _, job, _ in messages[2:]) == [1, 2, 3]
    pids = {pid for *_, pid in messages}
    assert len(pids) == 2 and os.getpid() not in pids


def test_a_process_that_dies_costs_its_job_alone() -> None:
    messages = run([("die", 0), ("exit", 1), ("none", 2)], devices=("cuda:7",))
    deaths = [message for message in messages if isinstance(message, Death)]
    assert deaths == [
        Death(("die", 0), "the process of cuda:7 ended: SIGKILL"),
        Death(("exit", 1), "the process of cuda:7 ended: exit code 5"),
    ]
    assert messages[-1][2] == ("none", 2)


def test_an_error_of_the_user_stops_all() -> None:
    with pytest.raises(DataError) as raised:
        run([("sleep", 0), ("fail", 1), ("none", 2)])
    assert (raised.value.message, raised.value.hint) == ("full", "make room")
    assert multiprocessing.active_children() == []


def test_ctrl_c_stops_all() -> None:
    def receive(_: Any) -> None:
        raise KeyboardInterrupt  # as the signal does, in this process

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_on_devices(work, [("sleep", 0), ("sleep", 1)], ("cpu", "cpu"), receive)
    assert multiprocessing.active_children() == []
    assert time.monotonic() - start < 30


def test_no_more_processes_than_jobs() -> None:
    assert len(run([("none", 0)], devices=("a", "b", "c"))) == 1
    assert run([]) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cpu", ("cpu",)),
        ("cuda:0, cuda:1", ("cuda:0", "cuda:1")),
        ("cuda,cuda:1", ("cuda", "cuda:1")),
    ],
)
def test_names(text: str, names: tuple[str, ...]) -> None:
    assert device_names(text) == names


def test_devices_of_two_kinds() -> None:
    with pytest.raises(UsageError, match="mixes cpu and cuda"):
        device_names("cpu,cuda:1")
