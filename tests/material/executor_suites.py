"""A small suite for executors, and workers that kill what runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from small_run import small_checkpoint

from posebench.results.store import StoredCell
from posebench.running.executors.jobs import Site
from posebench.running.plan import PlannedCell
from posebench.running.request import ProgressDisplay, RunRequest
from posebench.running.run_pass import PassWorker
from posebench.running.run_suite import run_suite
from posebench.running.sharing.dispatch import EVALUATION
from posebench.running.sharing.jobs import Segment
from posebench.running.trained.kept import trained_folder
from posebench.running.trained.worker import TrainingJob, TrainingWorker
from posebench.suites.suite import ScoringEntry, Suite

PARADIGMS = ("heatmap", "simcc")
_TESTS = Path(__file__).resolve().parents[1]
PATHS = os.pathsep.join([str(_TESTS / "material"), *sys.path])


def executor_request(
    folder: Path, people: Path, out: str, executor: str | None = None, **options: Any
) -> RunRequest:
    """Return a request for two checkpoints, written to `folder`, at two sizes on `people`."""
    for paradigm in PARADIGMS:
        if not (folder / f"{paradigm}.safetensors").exists():
            small_checkpoint(folder / f"{paradigm}.safetensors", paradigm)
    axes = options.pop("axes", {"sizes": ("native", "96x80"), "policies": ("native", "resample")})
    suite = Suite(
        "small",
        "d",
        tuple(f"{paradigm}.safetensors" for paradigm in options.pop("paradigms", PARADIGMS)),
        (str(people),),
        scoring=ScoringEntry(replicates=20),
        **axes,
    )
    own = folder / out
    site = Site(logs=own / "jobs", options=options.pop("options", {"cluster": "local"}))
    devices = options.pop("devices", ("cpu",) if executor is None else ("cpu", "cpu"))
    return RunRequest(
        suite, (), folder, own, devices=devices, executor=executor, site=site, **options
    )


def drive(
    request: RunRequest,
    worker: Callable[..., Any] = PassWorker,
    display: Any = None,
) -> None:
    """Run a request with a worker."""
    shown = display or ProgressDisplay(lambda *_: None)
    run_suite(request, shown, replace(EVALUATION, worker=worker))


class DiesOnce:
    """A worker whose process is killed behind the first cell that any of them stores."""

    at = "finished"

    def __init__(self, *arguments: Any) -> None:
        self._worker = PassWorker(*arguments)
        self._out: Path = arguments[0].out

    def victim(self) -> int | None:
        """Return the process to kill, if there is one left to kill."""
        try:
            (self._out / ".died").touch(exist_ok=False)
        except FileExistsError:
            return None
        return os.getpid()

    def __call__(self, job: Sequence[PlannedCell] | Segment, send: Any) -> None:
        """Run cells, and kill behind one of them."""

        def send_and_kill(message: Any) -> None:
            send(message)
            if message[0] == self.at and (process := self.victim()) is not None:
                os.kill(process, signal.SIGKILL)

        self._worker(job, send_and_kill)


class DiesInTheMiddle(DiesOnce):
    """A worker whose process is killed behind the first batch that any of them predicts."""

    at = "progress"


class KillsDriver(DiesOnce):
    """A worker that kills the process that runs the suite."""

    def victim(self) -> int | None:
        """Return the driver's process, once."""
        return None if super().victim() is None else int((self._out / ".driver").read_text())


def killed_driver(folder: Path, people: Path, out: str, executor: str | None, **more: Any) -> None:
    """Run a suite in a process that a worker kills behind the first cell."""
    code = (
        "import os; from pathlib import Path; from executor_suites import *\n"
        "from posebench.results.shared.locks import Shard\n"
        f"request = executor_request(Path({str(folder)!r}), Path({str(people)!r}), {out!r}, "
        f"{executor!r}, **{more!r})\n"
        # Workers that are processes import this too, and are not the driver.
        "if __name__ == '__main__':\n"
        "    request.out.mkdir(parents=True, exist_ok=True)\n"
        "    (request.out / '.driver').write_text(str(os.getpid()))\n"
        "    drive(request, KillsDriver)\n"
    )
    script = folder / f"{out}.py"
    script.write_text(code, encoding="utf-8")
    process = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"},
        check=False,
        timeout=300,
    )
    assert process.returncode == -signal.SIGKILL


class Counts:
    """A display that counts what it is shown."""

    def __init__(
        self, at_first: Callable[[], None] = lambda: None, steps: list[int] | None = None
    ) -> None:
        self.steps = [] if steps is None else steps
        self.pending: list[str] = []
        self.finished_ids: list[str] = []
        self._at_first = at_first

    def progress(self, label: str, done: int, total: int) -> None:
        """Note how much is done."""
        self.steps.append(done)

    def planned(self, cells: Any, pending: Sequence[PlannedCell], done: Any) -> None:
        """Note what is to be done."""
        self.pending = [cell.id for cell in pending]

    def started(self, cells: Any) -> None:
        """Show nothing."""

    def finished(self, cell: StoredCell) -> None:
        """Note a cell; do something at the first one that ran."""
        self.finished_ids.append(cell.id)
        if cell.result.status == "ok" and self._at_first is not None:
            act, self._at_first = self._at_first, lambda: None
            act()


class TrainingDiesOnce:
    """A worker of trainings whose process is killed once one of them can go on where it was."""

    def __init__(self, device: str) -> None:
        self._worker = TrainingWorker(device)

    def __call__(self, job: TrainingJob, send: Any) -> Any:
        """Train, and kill this process if no other was."""
        folder = trained_folder(job.run, job.recipe.name)

        def send_and_kill(step: Any) -> None:
            send(step)
            if any(folder.glob("*.state")):
                try:
                    (job.run / ".died").touch(exist_ok=False)
                except FileExistsError:
                    return
                os.kill(os.getpid(), signal.SIGKILL)

        return self._worker(job, send_and_kill)
