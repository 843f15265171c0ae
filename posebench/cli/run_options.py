"""The options of `posebench run`, as its suites and collections take them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posebench.cli.choices import one_of
from posebench.errors import UsageError
from posebench.prediction.execution import Resources
from posebench.results.shared.locks import Shard
from posebench.running.executors import ELSEWHERE
from posebench.running.executors.jobs import Site
from posebench.running.executors.ray_actors import ADDRESS, THREADS
from posebench.running.resources import device_names

_RUNS = Path("runs")
# How many jobs run at a time on other machines, unless `--jobs` says.
_CLUSTER_JOBS = 8
# What executors are called on the command line.
_EXECUTORS = {"local": "processes", "slurm": "slurm", "ray": "ray"}


@dataclass(frozen=True)
class RunOptions:
    """The options of `posebench run`.

    `predictions` gets COCO results of each cell.

    `scale` and `data_roots`, by the data sets' names, are for suites that train; `jobs` is how many
    checkpoints are trained side by side on each device; without `training` none is. Of a `shard`,
    only its part runs. An `executor` runs what there is to run, at its `site`. Images are read
    from copies in the folder `stage`; results are copied to the URL `mirror`.
    """

    out: Path | None = None
    only: str | None = None
    limit: int | None = None
    retry_failed: bool = False
    dry_run: bool = False
    device: str = "cpu"
    resources: Resources = field(default_factory=Resources)
    scale: str | None = None
    data_roots: Mapping[str, Path] = field(default_factory=dict)
    jobs: int | None = None
    training: bool = True
    predictions: Path | None = None
    shard: Shard | None = None
    executor: str | None = None
    site: Site = field(default_factory=Site)
    stage: Path | None = None
    mirror: str | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """Where checkpoints are trained, or an executor runs cells: a device for each process."""
        devices = device_names(self.device)
        if self.executor in ELSEWHERE:
            return devices * (self.jobs or _CLUSTER_JOBS)
        jobs = self.jobs or (os.cpu_count() or 1 if devices == ("cpu",) else 1)
        return devices * jobs

    def folder_for(self, name: str) -> Path:
        """Return the folder that was asked for, or the default one of a suite's name."""
        limit = None if self.limit is None else f"limit{self.limit}"
        named = "-".join(part for part in (name, self.scale, limit) if part is not None)
        return self.out or _RUNS / named


@dataclass(frozen=True)
class ExecutorWords:
    """What the command line says of an executor.

    `slurm` are texts such as `partition=gpu`; `address` is that of a Ray cluster.
    """

    name: str | None = None
    slurm: Sequence[str] = ()
    address: str | None = None
    detach: bool = False

    def settle(self, threads: int | None) -> tuple[str | None, Site]:
        """Return the executor's name here, and its site but for the folder of its logs.

        Raises `UsageError` for options that do not go with the executor.
        """
        alone = [
            option
            for option, of, given in (
                ("--slurm", "slurm", bool(self.slurm)),
                ("--detach", "slurm", self.detach),
                ("--address", "ray", self.address is not None),
            )
            if given and self.name != of
        ]
        if alone:
            raise UsageError(
                f"{alone[0]} does not go with --executor {self.name or 'none'}.",
                hint="--slurm and --detach are for --executor slurm, --address for ray.",
            )
        if self.name is None:
            return None, Site()
        executor = _EXECUTORS[one_of(self.name, tuple(_EXECUTORS), "--executor")]
        options = dict(_pair(text) for text in self.slurm)
        if executor == "ray":
            options = {THREADS: str(threads or 1)}
            options |= {ADDRESS: self.address} if self.address is not None else {}
        return executor, Site(options=options, detached=self.detach)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError(
            f"--slurm {text} does not say which parameter is what.",
            hint="Write KEY=VALUE, such as partition=gpu or timeout_min=240.",
        )
    return name, value
