"""Find the operations before an exported network's first layers, in any format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# How an operation treats its incoming pixels: `passes` only changes values, types, order or place;
# `rounds` quantises them; `measures` reads their shape; `learned` is a layer.
Treatment = Literal["passes", "rounds", "measures", "learned"]


@dataclass(frozen=True)
class Step:
    """One operation of a graph, with the names of its input and output values."""

    treatment: Treatment
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Front:
    """The operations between a graph's input and its first layers.

    `ends` are the values that layers take. `steps` are the positions, in order, of all operations
    that the `ends` depend on; `rounding` are those among them that quantise.
    """

    steps: tuple[int, ...]
    rounding: frozenset[int]
    ends: tuple[str, ...]


def find_front(source: str, steps: Sequence[Step], outputs: Sequence[str]) -> Front:
    """Return the front of the graph that takes `source`; `steps` are in an order of execution."""
    pixels, deep = {source}, set[str]()
    ends: dict[str, None] = {}
    rounding = set[int]()
    for index, step in enumerate(steps):
        taken = [name for name in step.inputs if name in pixels]
        behind = any(name in deep for name in step.inputs)
        if step.treatment == "measures":
            continue
        if behind or (taken and step.treatment == "learned"):
            ends.update(dict.fromkeys(taken))
            deep.update(step.outputs)
        elif taken:
            pixels.update(step.outputs)
            rounding.update([index] if step.treatment == "rounds" else [])
    ends.update(dict.fromkeys(name for name in outputs if name in pixels))
    kept = _made_of(ends, steps)
    return Front(kept, frozenset(rounding.intersection(kept)), tuple(ends))


def _made_of(ends: dict[str, None], steps: Sequence[Step]) -> tuple[int, ...]:
    """Return the positions of the steps that the values `ends` depend on, in order."""
    wanted, kept = set(ends), list[int]()
    for index in reversed(range(len(steps))):
        if wanted.intersection(steps[index].outputs):
            kept.append(index)
            wanted.update(steps[index].inputs)
    return tuple(reversed(kept))
