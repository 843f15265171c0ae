"""The checkpoint files that arguments name, and the names that tell them apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posebench.checkpoints.findings import read_overrides
from posebench.errors import CheckpointError, PosebenchError, SpecError, in_one_line
from posebench.results.cell import Status
from posebench.suites.suite import CheckpointEntry, DatasetEntry, Suite
from posebench.zoo import resolve
from posebench.zoo.hub import checkpoint_name, hub_name

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint file, its name in results, and the YAML that overrules what it says."""

    path: Path
    name: str
    spec_file: Path | None = None

    @property
    def files(self) -> tuple[Path, Path | None]:
        """What is loaded, under whatever name."""
        return self.path, self.spec_file


@dataclass(frozen=True)
class SuiteCheckpoint:
    """One checkpoint of a suite.

    `problem` is why there is no file, if there is none; `datasets` and `sizes` are what it is
    evaluated on and at, None for those that the suite declares.
    """

    source: CheckpointSource
    entry: CheckpointEntry
    problem: tuple[Status, str] | None = None
    datasets: tuple[DatasetEntry, ...] | None = None
    sizes: tuple[str, ...] | None = None

    def own_datasets(self, suite: Suite) -> tuple[DatasetEntry, ...]:
        """Return the data sets that it is evaluated and probed on."""
        return suite.declared_datasets if self.datasets is None else self.datasets


def checkpoint_entries(
    arguments: Sequence[str], spec_file: Path | None
) -> tuple[CheckpointEntry, ...]:
    """Return a suite's entries for the checkpoints that arguments name, each file once.

    Raises `CheckpointError` if a file is not there, and `SpecError` if a spec file cannot be read.
    """
    if not arguments:
        raise CheckpointError(
            "This installation has no embedded checkpoints.",
            hint="Give the path of a checkpoint file.",
        )
    read_overrides(spec_file)
    spec = None if spec_file is None else str(spec_file)
    files: dict[Path, str] = {}
    for argument in arguments:
        files.setdefault(resolve(argument).resolve(), argument)
    return tuple(CheckpointEntry(argument, spec=spec) for argument in files.values())


def suite_checkpoints(suite: Suite, folder: Path) -> tuple[SuiteCheckpoint, ...]:
    """Return the checkpoints that a suite's entries name, a pattern's files in the order of names.

    Raises `SpecError` if a pattern fits no file, or if two checkpoints have one name.
    """
    found: list[tuple[CheckpointEntry, Path | None, PosebenchError | None]] = []
    for entry in suite.checkpoint_entries:
        own = folder / entry.file
        if _WILD.search(entry.file) and not own.exists():
            found += [(entry, path, None) for path in _fitting(entry, folder)]
            continue
        try:
            found.append((entry, own if own.is_file() else resolve(entry.file), None))
        except PosebenchError as error:
            found.append((entry, None, error))
    paths = [path for _, path, _ in found if path is not None]
    names = dict(zip(paths, distinct_names(paths), strict=True))
    checkpoints = []
    for entry, path, absence in found:
        name = entry.name or (entry.file if path is None else names[path])
        spec = None if entry.spec is None else folder / entry.spec
        source = CheckpointSource(path or Path(entry.file), name, spec)
        problem: tuple[Status, str] | None = None
        if absence is not None:
            problem = ("skipped", in_one_line(absence))
        checkpoints.append(SuiteCheckpoint(source, entry, problem))
    check_distinct(checkpoints)
    return tuple(checkpoints)


def _fitting(entry: CheckpointEntry, folder: Path) -> list[Path]:
    """Return the files of a pattern, in the order of names."""
    paths = sorted(path for path in folder.glob(entry.file) if path.is_file())
    if not paths or (entry.name is not None and len(paths) > 1):
        what = "fits no file" if not paths else f"has one name but fits {len(paths)} files"
        raise SpecError(f"The pattern {entry.file} {what} in {folder}.")
    return paths


def check_distinct(checkpoints: Sequence[SuiteCheckpoint]) -> None:
    """Check that no two checkpoints have one name, which results could not tell apart.

    Raises `SpecError` if two have.
    """
    names = [checkpoint.source.name for checkpoint in checkpoints]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise SpecError(
                f"The suite has two checkpoints {name}.",
                hint="Give one of them a `name`, or list it once.",
            )


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return for each file its stem, or as much of its path as tells it from the others."""
    names = [_names(path) for path in paths]
    return [_name(own, path, paths, names) for path, own in zip(paths, names, strict=True)]


def _name(
    own: Sequence[str], path: Path, paths: Sequence[Path], names: Sequence[Sequence[str]]
) -> str:
    """Return the shortest of a path's `own` names by which it differs from the other paths."""
    others = [each for other, each in zip(paths, names, strict=True) if other is not path]
    unique = (
        name
        for level, name in enumerate(own)
        if all(name != each[min(level, len(each) - 1)] for each in others)
    )
    return next(unique, own[-1])


def _names(path: Path) -> list[str]:
    """Return the names a file may go by, the shortest first."""
    hub = hub_name(path)
    if hub is not None:
        return [checkpoint_name(path), hub, str(path.resolve())]
    parts = path.resolve().parts
    tails = ("/".join(parts[-length:]) for length in range(2, len(parts)))
    return [path.stem, path.name, *tails, str(path.resolve())]
