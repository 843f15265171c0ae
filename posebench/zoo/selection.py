"""Select published checkpoints, and list the architectures that posebench can load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from posebench.errors import UsageError, nearest
from posebench.networks.sizes import InputSize
from posebench.zoo.published import PublishedCheckpoint, published_checkpoints

# Architectures that posebench builds as an option of another family.
_OPTIONS_OF = {"resnetv1d": "resnet", "resnext": "resnet", "seresnet": "resnet"}


@dataclass(frozen=True)
class Selection:
    """What entries must have; None leaves a field open.

    `backbone` may be the beginning of a name; `dataset` is one that a result was published on.
    """

    paradigm: str | None = None
    backbone: str | None = None
    dataset: str | None = None
    size: InputSize | None = None
    family: str | None = None
    publisher: str | None = None


@dataclass(frozen=True)
class Architecture:
    """An architecture of the zoo, its number of published files, and what loads it, if anything."""

    name: str
    files: int
    loaded_as: str | None


def select(selection: Selection) -> tuple[PublishedCheckpoint, ...]:
    """Return the entries that fit.

    Raises `UsageError` if no entry has a given value.
    """
    entries = published_checkpoints()
    datasets = {dataset for entry in entries for dataset in entry.datasets}
    _check("--dataset", selection.dataset, datasets)
    for option in ("paradigm", "family", "publisher"):
        values = {str(getattr(entry, option)) for entry in entries}
        _check(f"--{option}", getattr(selection, option), values)
    backbones = {entry.backbone for entry in entries}
    begun = selection.backbone or ""
    if not any(name.startswith(begun) for name in backbones):
        _check("--backbone", begun, backbones)
    return tuple(entry for entry in entries if _fits(entry, selection))


def architectures() -> tuple[Architecture, ...]:
    """Return every architecture of the zoo or of posebench, the loadable ones first."""
    from posebench.networks.backbones import BACKBONES

    counts = Counter(entry.architecture for entry in published_checkpoints())
    loaded = {name: _OPTIONS_OF.get(name, name) for name in counts}
    rows = [
        Architecture(name, files, loaded[name] if loaded[name] in BACKBONES else None)
        for name, files in counts.items()
    ]
    unused = set(BACKBONES) - set(loaded.values())
    rows += [Architecture(name, 0, name) for name in unused]
    return tuple(sorted(rows, key=lambda row: (row.loaded_as is None, row.name)))


def _fits(entry: PublishedCheckpoint, wanted: Selection) -> bool:
    return (
        wanted.paradigm in (None, entry.paradigm)
        and entry.backbone.startswith(wanted.backbone or "")
        and (wanted.dataset is None or wanted.dataset in entry.datasets)
        and wanted.size in (None, entry.input_size)
        and wanted.family in (None, entry.family)
        and wanted.publisher in (None, entry.publisher)
    )


def _check(option: str, value: str | None, valid: Collection[str]) -> None:
    if value is not None and value not in valid:
        raise UsageError(
            f"{option} {value!r}: nothing published has it.", hint=nearest(value, valid)
        )
