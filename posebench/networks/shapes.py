"""The names and shapes of a state dict's tensors, by which a family is recognised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from posebench.networks.sizes import InputSize

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor of a part, by its name without the part's prefix (`backbone.`, `head.`)."""


def count_numbers(shapes: Shapes, pattern: str) -> int:
    """Count the distinct values of a name pattern's first group among the tensors' names."""
    compiled = re.compile(pattern)
    return len({match[1] for name in shapes if (match := compiled.match(name))})


def below(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> Shapes:
    """Return the tensors whose names begin with `prefix`, under names without it."""
    return {n[len(prefix) :]: shape for n, shape in shapes.items() if n.startswith(prefix)}


@dataclass(frozen=True)
class Guess:
    """A guess from shapes, which do not prove it: options of a backbone, an input size, and why."""

    options: Mapping[str, Any]
    input_size: InputSize
    why: str
