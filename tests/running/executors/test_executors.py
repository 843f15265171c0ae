"""Jobs under keys: each done once, wherever workers are and whatever becomes of one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from posebench.errors import DataError
from posebench.running.executors import EXECUTORS, Send, WorkerLost, Workers


def work(place: str, started: int, job: Any, send: Send) -> Any:
    """Do what a job says."""
    kind, argument = job
    send(("began", place, os.getpid()))
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "exit":
        os._exit(5)
    if kind == "fail":
        raise DataError("full", hint="make room")
    if kind == "bug":
        raise ValueError(argument)
    if kind == "open":  # an outcome that cannot be pickled
        return lambda: argument
    if kind == "meet":  # both workers have to be there
        own, other = argument
        Path(own).touch()
        while not Path(other).exists():
            time.sleep(0.01)
    if kind == "sleep":
        time.sleep(60)
    return argument, started


def start(place: str) -> Callable[[Any, Send], Any]:
    """Start a worker, which tells when that was."""
    return partial(work, place, time.monotonic_ns())


def run(
    name: str, jobs: dict[str, Any], places: tuple[str, ...] = ("a", "b"), fresh: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return outcomes and messages by key."""
    messages: dict[str, Any] = {}
    workers = Workers(start, places, fresh)
    outcomes = dict(EXECUTORS[name](jobs, workers, messages.__setitem__))
    assert multiprocessing.active_children() == []
    return outcomes, messages


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize("fresh", [False, True])
def test_outcomes_and_messages_come_under_their_keys(name: str, fresh: bool) -> None:
    outcomes, messages = run(name, {key: ("none", key * 2) for key in "xyz"}, ("a",), fresh)
    assert {key: argument for key, (argument, _) in outcomes.items()} == {
        "x": "xx", "y": "yy", "z": "zz",
    }  # fmt: skip
    assert set(messages) == {"x", "y", "z"}
    assert {place for _, place, _ in messages.values()} == {"a"}
    assert len({started for _, started in outcomes.values()}) == (3 if fresh else 1)
    pids = {pid for *_, pid in messages.values()}
    assert (pids == {os.getpid()}) == (name == "inline")
    assert len(pids) == (3 if fresh and name == "processes" else 1)


@pytest.mark.parametrize("name", EXECUTORS)
def test_no_jobs_start_no_worker(name: str) -> None:
    assert run(name, {}) == ({}, {})


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_error_of_the_user_stops_all(name: str) -> None:
    jobs = {"second": ("fail", 1), "third": ("none", 2)}
    first = {"first": ("sleep", 0)} if name == "processes" else {}
    with pytest.raises(DataError) as raised:
        run(name, {**first, **jobs})
    assert (raised.value.message, raised.value.hint) == ("full", "make room")
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_defect_of_a_job_costs_that_job_alone_and_says_what_it_was(
    name: str, fresh: bool
) -> None:
    jobs = {"first": ("none", 0), "fails": ("bug", "odd"), "last": ("none", 3)}
    outcomes, _ = run(name, jobs, ("a",), fresh)
    assert outcomes["fails"] == WorkerLost("internal error, ValueError: odd (--debug shows where)")
    assert (outcomes["first"][0], outcomes["last"][0]) == (0, 3)


def no_start(_place: str) -> Any:
    raise KeyError("no start")


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_worker_that_does_not_start_costs_its_job_and_says_why(name: str) -> None:
    jobs = {"a": ("none", 0), "b": ("none", 1)}
    outcomes = dict(EXECUTORS[name](jobs, Workers(no_start, ("a",)), lambda *_: None))
    assert outcomes == dict.fromkeys(
        jobs, WorkerLost("internal error, KeyError: 'no start' (--debug shows where)")
    )


def test_an_outcome_that_does_not_fit_through_the_pipe_says_so() -> None:
    outcomes, _ = run("processes", {"odd": ("open", 0), "last": ("none", 1)}, ("a",))
    reason = outcomes["odd"].reason
    assert "pickle" in reason or "local object" in reason
    assert outcomes["last"][0] == 1


def test_places_work_side_by_side(tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    jobs = {"1": ("meet", (a, b)), "2": ("meet", (b, a)), "3": ("none", 1), "4": ("none", 2)}
    outcomes, messages = run("processes", jobs)
    assert set(outcomes) == set(jobs)
    assert {place for _, place, _ in messages.values()} == {"a", "b"}
    assert len({pid for *_, pid in messages.values()}) == 2


@pytest.mark.parametrize("fresh", [False, True])
def test_a_process_that_ends_costs_its_job_alone(fresh: bool) -> None:
    jobs = {"first": ("none", 0), "dies": ("die", 1), "exits": ("exit", 2), "last": ("none", 3)}
    outcomes, _ = run("processes", jobs, ("cuda:7",), fresh)
    assert outcomes["dies"] == WorkerLost(
        "the process of cuda:7 ended: SIGKILL, which the system sends when memory runs out"
    )
    assert outcomes["exits"] == WorkerLost("the process of cuda:7 ended: exit code 5")
    assert (outcomes["first"][0], outcomes["last"][0]) == (0, 3)


def test_ctrl_c_stops_all() -> None:
    def receive(_key: str, _message: Any) -> None:
        raise KeyboardInterrupt  # as the signal does, in this process

    begun = time.monotonic()
    jobs = {"1": ("sleep", 0), "2": ("sleep", 1)}
    with pytest.raises(KeyboardInterrupt):
        list(EXECUTORS["processes"](jobs, Workers(start, ("a", "b")), receive))
    assert multiprocessing.active_children() == []
    assert time.monotonic() - begun < 30


def test_closing_stops_all() -> None:
    jobs = {"1": ("none", 0), "2": ("sleep", 1)}
    workers = Workers(start, ("a", "b"))
    with closing(EXECUTORS["processes"](jobs, workers, lambda *_: None)) as outcomes:
        assert next(outcomes)[0] == "1"
    assert multiprocessing.active_children() == []
