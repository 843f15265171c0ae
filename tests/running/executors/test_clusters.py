"""Jobs on a cluster: SLURM by submitit's local executor, and Ray on this machine."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fake_slurm as fake
import pytest

from posebench.errors import DataError, MissingExtraError, UsageError
from posebench.results.shared.ledger import read_notes
from posebench.running.executors import (
    EXECUTORS,
    Send,
    Site,
    Submitted,
    WorkerLost,
    Workers,
    with_retries,
)


def needs(package: str) -> pytest.MarkDecorator:
    absent = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(absent, reason=f"needs {package}")


slurm = pytest.param("slurm", marks=needs("submitit"))
slow_slurm = pytest.param("slurm", marks=[needs("submitit"), pytest.mark.slow])
ray = pytest.param("ray", marks=[needs("ray"), pytest.mark.slow])


def work(place: str, job: Any, send: Send) -> Any:
    """Do what a job says."""
    kind, argument = job
    send(("progress", 1))
    send(("began", place))
    if kind == "die twice" and len(list(Path(argument).iterdir())) < 2:
        (Path(argument) / str(os.getpid())).touch()
        print("about to die", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "fail":
        raise DataError("full", hint="make room")
    if kind == "bug":
        raise ValueError(argument)
    if kind == "alone":
        Path(argument).touch(exist_ok=False)
        time.sleep(1)
        Path(argument).unlink()
    if kind == "wait":
        Path(argument, f"began-{os.getpid()}").touch()
        while not Path(argument, "go").exists():
            time.sleep(0.05)
    return argument


def start(place: str) -> Callable[[Any, Send], Any]:
    return partial(work, place)


def no_start(place: str) -> Any:
    raise DataError(f"{place} has no data.")


def keeps(message: Any) -> bool:
    return bool(message[0] != "progress")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes import this module."""
    paths = [str(Path(__file__).parent), *sys.path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def workers(folder: Path, begin: Any = start, **site: Any) -> Workers:
    own = Site(logs=folder / "jobs", options={"cluster": "local"}, **site)
    return Workers(begin, ("cpu", "cpu"), site=own, keeps=keeps)


def run(name: str, jobs: dict[str, Any], who: Workers) -> tuple[dict[str, Any], list[Any]]:
    messages: list[Any] = []
    outcomes = dict(EXECUTORS[name](jobs, who, lambda *both: messages.append(both)))
    return outcomes, messages


@pytest.mark.parametrize("name", [slurm, ray])
def test_outcomes_and_lasting_messages_come_under_their_keys(name: str, tmp_path: Path) -> None:
    jobs = {"x": ("none", 1), "y": ("bug", "odd"), "z": ("none", 3)}
    outcomes, messages = run(name, jobs, workers(tmp_path))
    assert (outcomes["x"], outcomes["z"]) == (1, 3)
    assert outcomes["y"] == WorkerLost("internal error, ValueError: odd (--debug shows where)")
    assert sorted(messages) == [(key, ("began", "cpu")) for key in "xyz"]
    assert run(name, {}, workers(tmp_path)) == ({}, [])


@pytest.mark.parametrize("name", [slow_slurm, ray])
def test_an_error_of_the_user_ends_all(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        run(name, {"a": ("fail", 1)}, workers(tmp_path))
    assert (raised.value.message, raised.value.hint) == ("full", "make room")


@pytest.mark.parametrize("name", [slow_slurm, ray])
def test_a_killed_worker_is_replaced_and_its_job_done(name: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    jobs = {"dies": ("die twice", str(marks)), "lives": ("none", 2)}
    outcomes = dict(with_retries(EXECUTORS[name], jobs, workers(tmp_path), lambda *_: None))
    assert outcomes == {"dies": str(marks), "lives": 2}
    assert len(list(marks.iterdir())) == 2


@pytest.mark.parametrize("name", [slow_slurm, ray])
def test_a_machine_on_which_no_worker_starts_is_named(name: str, tmp_path: Path) -> None:
    outcomes, _ = run(name, {"a": ("none", 1)}, workers(tmp_path, no_start))
    assert outcomes["a"].died
    assert "no worker could start on" in outcomes["a"].reason
    assert "cpu has no data" in outcomes["a"].reason


@pytest.mark.slow
@needs("submitit")
def test_a_lost_task_names_its_node_and_its_log(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    jobs = {"dies": ("die twice", str(tmp_path / "marks"))}
    outcome = run("slurm", jobs, workers(tmp_path))[0]["dies"]
    assert outcome.died and os.uname().nodename in outcome.reason
    assert "about to die" in Path(outcome.reason.rpartition("log ")[2]).read_text()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder in which tasks wait for a file `go`."""
    folder = tmp_path / "gate"
    folder.mkdir()
    yield folder
    (folder / "go").touch()


@pytest.mark.slow
@needs("submitit")
def test_on_this_machine_no_more_tasks_run_than_there_are_places(tmp_path: Path) -> None:
    jobs = {name: ("alone", str(tmp_path / "busy")) for name in "abc"}
    who = replace(workers(tmp_path), places=("cpu",))
    assert run("slurm", jobs, who)[0] == dict.fromkeys("abc", str(tmp_path / "busy"))


@pytest.mark.slow
@needs("submitit")
def test_tasks_of_a_driver_that_was_killed_are_taken_over(tmp_path: Path, gate: Path) -> None:
    code = (
        "from test_clusters import *\n"
        f"who = workers(Path({str(tmp_path)!r}))\n"
        f"run('slurm', {{'a': ('wait', {str(gate)!r})}}, who)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 60
    while not list(gate.glob("began-*")) and time.monotonic() < end:
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    jobs = {"a": ("wait", str(gate)), "b": ("none", 2)}
    stream = EXECUTORS["slurm"](jobs, workers(tmp_path), lambda *_: None)
    assert next(stream) == ("b", 2)
    (gate / "go").touch()
    assert list(stream) == [("a", str(gate))]
    assert len(list(gate.glob("began-*"))) == 1


# The driver leaves a process behind on purpose.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@needs("submitit")
def test_a_detached_run_leaves_its_tasks_and_notes_them(tmp_path: Path, gate: Path) -> None:
    outcomes, _ = run("slurm", {"a": ("wait", str(gate))}, workers(tmp_path, detached=True))
    (note,) = read_notes(tmp_path / "jobs")
    assert outcomes == {"a": Submitted(note.id)} and note.key == "a"
    (gate / "go").touch()
    outcomes, messages = run("slurm", {"a": ("wait", str(gate))}, workers(tmp_path))
    assert outcomes == {"a": str(gate)} and messages == [("a", ("began", "cpu"))]
    assert len(list(gate.glob("began-*"))) == 1


@needs("submitit")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cluster": "moon"}, "neither slurm nor local"),
        ({"cluster": "local", "timeout_min": "long"}, "cannot submit here"),
        ({"cluster": "slurm"}, "cannot submit here"),
    ],
)
def test_what_cannot_be_submitted_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], said: str
) -> None:
    monkeypatch.setenv("PATH", "")
    who = Workers(start, ("cpu",), site=Site(logs=tmp_path, options=options))
    with pytest.raises(UsageError, match=said):
        run("slurm", {"a": ("none", 1)}, who)


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put commands that look like SLURM's on PATH; return the folder of their state."""
    path = fake.install(tmp_path / "bin")
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(state))
    return state


@needs("submitit")
def test_what_sbatch_says_is_said(tmp_path: Path, fake_slurm: Path) -> None:
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition specified: x' >&2; exit 1\n"
    )
    who = Workers(start, ("cpu",), site=Site(tmp_path / "jobs", {"partition": "x"}))
    with pytest.raises(UsageError, match="not take 2 tasks: sbatch: error: invalid partition"):
        run("slurm", {"a": ("none", 1), "b": ("none", 2)}, who)


class _Task:
    """A task of a cluster that waits until it is cancelled."""

    def __init__(self, number: str) -> None:
        self.job_id = number
        self.cancelled = False

    def cancel(self, check: bool) -> None:
        assert not check
        self.cancelled = True


@pytest.mark.parametrize("detached", [False, True])
def test_what_was_submitted_outlives_a_refusal_and_who_detached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detached: bool
) -> None:
    earlier, new = _Task("1"), _Task("2")

    def submitted(_executor: Any, _workers: Any, jobs: Any) -> dict[str, Any]:
        if not detached:
            raise UsageError("The cluster did not take 1 tasks.")
        return dict.fromkeys(jobs, new)

    slurm_executor = importlib.import_module("posebench.running.executors.slurm")
    monkeypatch.setattr(slurm_executor, "_executor", lambda _workers: (None, "slurm", tmp_path))
    monkeypatch.setattr(slurm_executor, "_left_by_others", lambda _folder, _jobs: {"a": earlier})
    monkeypatch.setattr(slurm_executor, "_submitted", submitted)
    who = Workers(start, ("cpu",), site=Site(tmp_path, {}, detached=detached))
    outcomes = slurm_executor.slurm({"a": None, "b": None}, who, lambda *_: None)
    if detached:
        assert next(outcomes) == ("a", Submitted("1"))
    else:
        with pytest.raises(UsageError, match="did not take"):
            next(outcomes)
    outcomes.close()
    assert not earlier.cancelled and not new.cancelled


@pytest.mark.slow
@needs("submitit")
def test_an_array_is_submitted_watched_and_tried_again(tmp_path: Path, fake_slurm: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    options = {"partition": "gpu", "timeout_min": "30", "cpus_per_task": "2"}
    who = Workers(start, ("cpu",) * 3, site=Site(tmp_path / "jobs", options), keeps=keeps)
    jobs = {"x": ("none", 1), "dies": ("die twice", str(marks)), "z": ("none", 3)}
    reasons: list[str] = []
    with_log = with_retries(EXECUTORS["slurm"], jobs, who, lambda *_: None)
    with caplog_at_warning(reasons):
        outcomes = dict(with_log)
    assert outcomes == {"x": 1, "dies": str(marks), "z": 3}
    assert len(reasons) == 2 and all("on node7" in each for each in reasons)
    assert all("FAILED, SIGKILL, log " in each for each in reasons)
    script = (fake_slurm / "script-1").read_text()
    for line in ("--partition=gpu", "--time=30", "--cpus-per-task=2", "--array=0-2%3"):
        assert line in script, script


@contextmanager
def caplog_at_warning(lines: list[str]) -> Iterator[None]:
    """Collect what is said of jobs that are tried again."""
    log = logging.getLogger("posebench.running.executors.retrying")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    yield
    log.removeHandler(handler)


def test_no_engine_is_loaded_unless_asked_for() -> None:
    code = (
        "import sys, posebench.cli.run_options, posebench.running.sharing.dispatch\n"
        "print(sorted({'ray', 'submitit', 'cloudpickle'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(("name", "package"), [("slurm", "submitit"), ("ray", "ray")])
def test_an_absent_package_is_named_with_its_extra(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as raised:
        run(name, {"a": ("none", 1)}, workers(tmp_path))
    assert package in raised.value.message and f"[{name}]" in str(raised.value.hint)
