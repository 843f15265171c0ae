"""What a family is recognised by: the names and shapes of a state dict's tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor of a backbone by its name, without the prefix `backbone.`."""


def count_numbers(shapes: Shapes, pattern: str) -> int:
    """Return how many different values the first group of a name pattern is found with."""
    compiled = re.compile(pattern)
    return len({match[1] for name in shapes if (match := compiled.match(name))})
