"""Checkpoint files that words mean, and the names that tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posebench.errors import CheckpointError
from posebench.zoo import resolve


def checkpoint_sources(
    arguments: Sequence[str], spec_file: Path | None
) -> tuple[CheckpointSource, ...]:
    """Return the files that arguments mean, each file once, under names that tell them apart.

    A name is the file's stem, or as much of its path as it takes. Raises `CheckpointError` for a
    file that is not there and `SpecError` for a spec file that cannot be read.
    """
    from posebench.checkpoints.findings import read_overrides

    if not arguments:
        raise CheckpointError(
            "This installation has no embedded checkpoints.",
            hint="Give the path of a checkpoint file.",
        )
    read_overrides(spec_file)
    paths = list({path.resolve(): path for path in map(resolve, arguments)}.values())
    names = distinct_names(paths)
    return tuple(
        CheckpointSource(path, name, spec_file) for path, name in zip(paths, names, strict=True)
    )


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return for each file its stem, or as much of its path as tells it from the others."""
    return [_name(path, paths) for path in paths]


def _name(path: Path, paths: Sequence[Path]) -> str:
    """Return the shortest name by which `path` differs from the other `paths`."""
    others = [_names(other) for other in paths if other is not path]
    own = _names(path)
    unique = (
        name
        for level, name in enumerate(own)
        if all(name != names[min(level, len(names) - 1)] for names in others)
    )
    return next(unique, own[-1])


def _names(path: Path) -> list[str]:
    """Return the names a file may go by, the shortest first."""
    parts = path.resolve().parts
    tails = ("/".join(parts[-length:]) for length in range(2, len(parts)))
    return [path.stem, path.name, *tails, str(path.resolve())]


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint file, its name in results, and the YAML that overrules what it says."""

    path: Path
    name: str
    spec_file: Path | None = None
