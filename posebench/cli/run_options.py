"""The options of `posebench run`, as its suites and collections take them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from posebench.errors import UsageError
from posebench.files.inputs import in_home
from posebench.prediction.execution import Resources
from posebench.results.shared.locks import Shard
from posebench.running.resources import device_names

_RUNS = Path("runs")


@dataclass(frozen=True)
class RunOptions:
    """The options of `posebench run`.

    `predictions` gets COCO results of each cell.

    `scale` and `data_roots`, by the data sets' names, are for suites that train; `jobs` is how many
    checkpoints are trained side by side on each device; without `training` none is. Of a `shard`,
    only its part runs.
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

    @property
    def places(self) -> tuple[str, ...]:
        """Where checkpoints are trained: a device for each process."""
        devices = device_names(self.device)
        jobs = self.jobs or (os.cpu_count() or 1 if devices == ("cpu",) else 1)
        return devices * jobs

    def folder_for(self, name: str) -> Path:
        """Return the folder that was asked for, or the default one of a suite's name."""
        limit = None if self.limit is None else f"limit{self.limit}"
        named = "-".join(part for part in (name, self.scale, limit) if part is not None)
        return self.out or _RUNS / named


def roots_of(texts: list[str]) -> dict[str, Path]:
    """Return the folders of data sets from texts such as `lsp14=/data/lsp14`.

    Raises `UsageError` if one is of another form.
    """
    found = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UsageError(
                f"--data-root {text} does not say which data are where.",
                hint="Write NAME=FOLDER, such as lsp14=/data/lsp14.",
            )
        found[name] = in_home(folder)
    return found
