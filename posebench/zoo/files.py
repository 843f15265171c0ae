"""Find the file that a command-line argument names: a path, an embedded or a pulled checkpoint."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from posebench.errors import CheckpointError, ZooError, nearest
from posebench.zoo.hub import hub_folder, is_hub_id
from posebench.zoo.published import find_published, published_checkpoints
from posebench.zoo.pulling import by_hand, pulled_path

_SUFFIX = ".safetensors"


def embedded_names() -> tuple[str, ...]:
    """Return the names of the embedded checkpoints, sorted."""
    return tuple(sorted(_embedded()))


def resolve(argument: str) -> Path:
    """Return the path of a checkpoint, given as a file or model folder, a name, or an id.

    An id is one of the zoo, or of Hugging Face, whose file is fetched if it is not in its cache. A
    pulled file may also be given by its file name. Raises `CheckpointError` if there is no such
    file; it names the nearest embedded checkpoint, or says how to get a published one.
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
        raise CheckpointError(
            f"{argument} is a folder without a config.json, not a checkpoint.",
            hint="Give a file in it, or a folder that transformers' save_pretrained wrote.",
        )
    return _pulled(argument)


def _pulled(argument: str) -> Path:
    try:
        entry = find_published(argument)
    except ZooError as error:
        if _is_on_hub(argument):
            return hub_folder(argument)
        embedded = _embedded()
        hint = f"{nearest(argument, embedded)}\n" if embedded else ""
        raise CheckpointError(
            f"There is no file {argument}, and no embedded or published checkpoint of that name.",
            hint=f"{hint}Published: {error.hint}",
        ) from None
    path = pulled_path(entry)
    if path.is_file():
        return path
    how = f"Run `posebench zoo pull {entry.id}` first." if entry.urls else by_hand(entry, path)
    raise CheckpointError(f"{entry.id} is published, but its file is not at {path}.", hint=how)


def _is_on_hub(argument: str) -> bool:
    """Tell whether a name may be a Hugging Face id: one of a publisher of the zoo is a slip."""
    owners = {entry.id.partition("/")[0] for entry in published_checkpoints()}
    return is_hub_id(argument) and argument.partition("/")[0] not in owners


def embedded_folder() -> Path:
    """Return the folder of the embedded checkpoints, which is always unpacked on disk."""
    return Path(str(importlib.resources.files("posebench.zoo"))) / "embedded"


def _embedded() -> dict[str, Path]:
    return {path.stem: path for path in sorted(embedded_folder().glob(f"*{_SUFFIX}"))}
