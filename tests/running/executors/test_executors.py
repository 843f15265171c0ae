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
from posebench.running.executors import (
    EXECUTORS,
    Send,
    Site,
    WorkerLost,
    Workers,
    with_retries,
)
from posebench.running.executors.jobs import this_node


def work(place: str, started: int, job: Any, send: Send) -> Any:
    """Do what a job says."""
    kind, argument = job
    send(("began", place, os.getpid()))
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "die until":  # there are as many files as tries that shall fail
        own = Path(argument)
        if len(list(own.iterdir())) < 2:
            (own / str(os.getpid())).touch()
            print("about to die", flush=True)
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


@pytest.mark.parametrize("name", ["inline", "processes"])
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


@pytest.mark.parametrize("name", ["inline", "processes"])
def test_no_jobs_start_no_worker(name: str) -> None:
    assert run(name, {}) == ({}, {})


@pytest.mark.parametrize("name", ["inline", "processes"])
def test_an_error_of_the_user_stops_all(name: str) -> None:
    jobs = {"second": ("fail", 1), "third": ("none", 2)}
    first = {"first": ("sleep", 0)} if name == "processes" else {}
    with pytest.raises(DataError) as raised:
        run(name, {**first, **jobs})
    assert (raised.value.message, raised.value.hint) == ("full", "make room")
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("name", ["inline", "processes"])
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


@pytest.mark.parametrize("name", ["inline", "processes"])
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
        f"the process of cuda:7 on {this_node()} ended: SIGKILL, which the system sends when "
        "memory runs out",
        died=True,
    )
    assert outcomes["exits"] == WorkerLost(
        f"the process of cuda:7 on {this_node()} ended: exit code 5", died=True
    )
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


def test_a_job_whose_worker_dies_has_three_tries(tmp_path: Path) -> None:
    jobs = {"heals": ("die until", str(tmp_path)), "dies": ("die", 1), "bug": ("bug", "odd")}
    began: list[str] = []
    workers = Workers(start, ("a", "b"))
    tried = with_retries(EXECUTORS["processes"], jobs, workers, lambda key, _: began.append(key))
    outcomes = dict(tried)
    assert outcomes["heals"][0] == str(tmp_path)
    assert outcomes["dies"].reason.endswith("when memory runs out; tried 3 times")
    assert outcomes["bug"].reason.startswith("internal error, ValueError: odd")
    assert sorted(began) == ["bug", *["dies"] * 3, *["heals"] * 3]


def test_only_what_is_left_of_a_job_is_tried_again() -> None:
    given: list[tuple[str, Any]] = []

    def dies(jobs: Any, workers: Workers, receive: Any) -> Any:
        given.extend(jobs.items())
        yield from ((key, WorkerLost("gone", died=True)) for key in jobs)

    jobs = {"whole": [1, 2], "done": []}
    outcomes = dict(
        with_retries(dies, jobs, Workers(start, ("a",)), lambda *_: None, lambda job: job[1:])
    )
    assert given == [("whole", [1, 2]), ("done", []), ("whole", [2])]
    assert outcomes == {"whole": None, "done": None}


def test_what_a_lost_process_printed_is_in_the_log_that_its_reason_names(tmp_path: Path) -> None:
    (tmp_path / "tries").mkdir()
    site = Site(logs=tmp_path / "logs")
    workers = Workers(start, ("a",), site=site)
    jobs = {"dies": ("die until", str(tmp_path / "tries"))}
    outcome = dict(EXECUTORS["processes"](jobs, workers, lambda *_: None))["dies"]
    log = Path(outcome.reason.rpartition("log ")[2])
    assert log.parent == site.logs and log.read_text() == "about to die\n"
