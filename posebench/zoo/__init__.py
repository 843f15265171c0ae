"""The small checkpoints that are shipped with the package. Never loads torch."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING

from posebench.errors import CheckpointError, nearest

if TYPE_CHECKING:
    from posebench.checkpoints import Checkpoint

_SUFFIX = ".safetensors"


def embedded_names() -> tuple[str, ...]:
    """Return the names of the embedded checkpoints, sorted."""
    return tuple(sorted(_embedded()))


def resolve(argument: str) -> Path:
    """Return the path that a command-line argument means: a file or model folder, else an embedded
    checkpoint by its name.

    Raise `CheckpointError` that names the nearest embedded checkpoint.
    """
    path = Path(argument)
    if path.is_file():
        return path
    embedded = _embedded()
    if argument in embedded:
        return embedded[argument]
    if path.is_dir() and (path / "config.json").is_file():
        return path
    if path.is_dir():
        raise CheckpointError(f"{argument} is a folder without a config.json, not a checkpoint.")
    hint = nearest(argument, embedded) if embedded else "Give the path of a checkpoint file."
    raise CheckpointError(
        f"There is no file {argument}, and no embedded checkpoint of that name.", hint=hint
    )


def load_embedded(name: str) -> Checkpoint:
    """Load an embedded checkpoint by name; raise `CheckpointError` for any other."""
    from posebench.checkpoints import load_checkpoint

    embedded = _embedded()
    if name not in embedded:
        raise CheckpointError(
            f"There is no embedded checkpoint {name!r}.", hint=nearest(name, embedded)
        )
    return load_checkpoint(embedded[name])


def _embedded() -> dict[str, Path]:
    """Return the embedded checkpoints' files by name; the package is always unpacked on disk."""
    folder = Path(str(importlib.resources.files("posebench.zoo"))) / "embedded"
    return {path.stem: path for path in sorted(folder.glob(f"*{_SUFFIX}"))}
