"""The record of a publisher: how its state dicts are recognised, renamed and completed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from posebench.checkpoints.findings import Finding

# The rule that drops the entries in `StateFile.others`.
TRAINING_STATE = "training state beside the weights"
_WRAPPER = "module."


class Stored(Protocol):
    """A tensor of a file that has not been read yet."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        ...


@dataclass(frozen=True)
class Derived:
    """A tensor of this shape, stored in another form; `make(*sources)` computes it."""

    shape: tuple[int, ...]
    sources: tuple[Stored, ...]
    make: Callable[..., Tensor]


@dataclass(frozen=True)
class StateFile:
    """A state dict as its publisher wrote it, and the entries beside it in the file.

    `meta` is the file's own record of its making; `others` names further top-level entries.
    `dropped` lists what was left out before, by rule; `notes` says what was done to the names.
    """

    name: str
    state: Mapping[str, Stored]
    meta: Mapping[str, Any]
    others: tuple[str, ...] = ()
    dropped: tuple[tuple[str, tuple[str, ...]], ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Weights:
    """Tensors under MMPose 1.x's names, and the ones left out, by rule."""

    tensors: Mapping[str, Stored]
    dropped: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape by name."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}


@dataclass(frozen=True)
class Publisher:
    """One publisher's files.

    `recognise` tells whether a file is one of them, `sort_weights` renames its tensors.
    `find_settings(file, shapes, overrides)` returns findings on codec, crop, flip test, keypoints
    and, if the file tells it, input size; `shapes` are those of the renamed tensors.
    `find_provenance` returns what the file says about its making.
    """

    name: str
    recognise: Callable[[StateFile], bool]
    sort_weights: Callable[[StateFile], Weights]
    find_settings: Callable[
        [StateFile, Mapping[str, tuple[int, ...]], tuple[Finding, ...]], tuple[Finding, ...]
    ]
    find_provenance: Callable[[StateFile], Mapping[str, Any]]


def unwrapped(state: Mapping[str, Stored]) -> Mapping[str, Stored]:
    """Return a state dict without the prefix that torch's `DataParallel` gives every name."""
    if not all(name.startswith(_WRAPPER) for name in state):
        return state
    return {name[len(_WRAPPER) :]: tensor for name, tensor in state.items()}
