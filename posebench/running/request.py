"""What is asked of a run, and what is shown of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from posebench.prediction.execution import Progress, Resources
from posebench.results.cell import Status
from posebench.results.shared.locks import Shard
from posebench.results.store import PREDICTIONS, StoredCell
from posebench.running.executors.jobs import Site
from posebench.running.network_plans import Storage
from posebench.running.plan import PlannedCell
from posebench.running.sources import SuiteCheckpoint
from posebench.suites.claims import Claim
from posebench.suites.suite import Suite


@dataclass(frozen=True)
class RunRequest:
    """What to run: a suite, the folder its paths are relative to, and where results go.

    `only` is a pattern of cell ids; `retry_failed` runs failed cells again; `devices` of one kind
    share the cells; `source` is where the suite was read, or the folder it was made in. What
    networks answer is kept in `storage`, by default with the run. `coco_results` is a file for the
    COCO results of the only cell, or a folder for one file per cell. With `only_adds`, a run
    directory keeps the results that the suite does not ask for. `trained` are the checkpoints that
    were trained for the suite. Of a `shard`, only its cells run; `crops` are those that trainings
    see, by name, and weigh in what a shard gets; `untrained` says of trainings of the shard why
    they have no checkpoint, where untrained weights stand in for it in the plan. An `executor` runs
    the cells, at its `site`, with a worker for each device. Where workers run, images are copied
    to the folder `stage` first. `mirror` is a URL that keeps a copy of the run directory.
    """

    suite: Suite
    claims: tuple[Claim, ...]
    folder: Path
    out: Path
    only: str | None = None
    limit: int | None = None
    retry_failed: bool = False
    devices: tuple[str, ...] = ("cpu",)
    resources: Resources = field(default_factory=Resources)
    source: str = ""
    storage: Storage | None = None
    coco_results: Path | None = None
    only_adds: bool = False
    trained: tuple[SuiteCheckpoint, ...] = ()
    shard: Shard | None = None
    crops: Mapping[str, int] = field(default_factory=dict)
    untrained: Mapping[str, tuple[Status, str]] = field(default_factory=dict)
    executor: str | None = None
    site: Site = field(default_factory=Site)
    stage: Path | None = None
    mirror: str | None = None

    @property
    def coco_results_in_one_file(self) -> bool:
        """Whether `coco_results` is a file: a name in .json, or a file or device that exists."""
        asked = self.coco_results
        if asked is None or asked.is_dir():
            return False
        return asked.suffix == ".json" or asked.exists()

    def coco_results_of(self, cell_id: str) -> Path | None:
        """Return the file that the COCO results of a cell belong in, if they are asked for."""
        if self.coco_results is None or self.coco_results_in_one_file:
            return self.coco_results
        return self.coco_results / f"{cell_id}.json"

    @property
    def folders(self) -> Storage:
        """Where what networks answer is kept."""
        return self.storage or Storage(predictions=self.out / PREDICTIONS)

    @property
    def all_resources(self) -> Resources:
        """The resources granted, with the suite's batch size if none was asked for."""
        return self.resources.or_batch_size(self.suite.batch_size)


class Display(Protocol):
    """What is shown while a suite runs."""

    def progress(self, label: str, done: int, total: int) -> None:
        """Show how far the current step is."""
        ...

    def planned(
        self,
        cells: Sequence[PlannedCell],
        pending: Sequence[PlannedCell],
        done: Mapping[str, StoredCell],
    ) -> None:
        """Show what will run, and what is done, by the ids of cells."""
        ...

    def started(self, cells: Sequence[PlannedCell]) -> None:
        """Show that cells run now, together."""
        ...

    def finished(self, cell: StoredCell) -> None:
        """Show a cell that is done."""
        ...


@dataclass(frozen=True)
class ProgressDisplay:
    """A display of steps alone."""

    progress: Progress

    def planned(self, *_: Any) -> None:
        """Show nothing."""

    def started(self, cells: Sequence[PlannedCell]) -> None:
        """Show nothing."""

    def finished(self, cell: StoredCell) -> None:
        """Show nothing."""


Message = tuple[str, tuple[Any, ...]]
"""A method of a display, and what it is called with."""


@dataclass(frozen=True)
class SentDisplay:
    """The display of a worker: sends what is to be shown to the process that shows it.

    `prefix` tells steps of several workers apart.
    """

    send: Callable[[Message], None]
    prefix: str = ""

    def progress(self, label: str, done: int, total: int) -> None:
        """Send a step."""
        self.send(("progress", (f"{self.prefix}{label}", done, total)))

    def started(self, cells: Sequence[PlannedCell]) -> None:
        """Send cells that run."""
        self.send(("started", (cells,)))

    def finished(self, cell: StoredCell) -> None:
        """Send a cell that is done."""
        self.send(("finished", (cell,)))


def show(display: Display, message: Message) -> None:
    """Show what a worker's `SentDisplay` sent."""
    call, arguments = message
    getattr(display, call)(*arguments)
