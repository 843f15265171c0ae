"""Passes: checkpoints that run together over the images of a data set, as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
# Bytes of checkpoint files that run together; in memory weights take up to three times it.
_WEIGHTS_OF_A_PASS = 2**30


# Bytes of predictions that are held until a pass is done, of which joining makes a copy.
_PREDICTIONS_OF_A_PASS = 2**30
_BYTES_OF_A_KEYPOINT = 2 * (2 * 8 + 4)


def most_cells(instances: int, keypoints: int) -> int:
    """Return how many cells' predictions of a data set are held together, 1 at least."""
    own = instances * keypoints * _BYTES_OF_A_KEYPOINT
    return max(_PREDICTIONS_OF_A_PASS // max(own, 1), 1)


def passes(
    items: Iterable[Item], file_of: Callable[[Item], Path], most: int
) -> Iterator[list[Item]]:
    """Yield `items` in order, in groups whose checkpoint files have 1 GiB together at most.

    A larger file makes a group of its own; no group has more than `most` items.
    """
    group: list[Item] = []
    files: dict[Path, int] = {}
    for item in items:
        path = file_of(item)
        size = path.stat().st_size if path.is_file() else 0
        heavy = path not in files and sum(files.values()) + size > _WEIGHTS_OF_A_PASS
        if group and (heavy or len(group) >= most):
            yield group
            group, files = [], {}
        group.append(item)
        files[path] = size
    if group:
        yield group


def pass_name(checkpoints: Iterable[str]) -> str:
    """Return what a pass is called while it runs, by the names of its checkpoints."""
    first, *others = dict.fromkeys(checkpoints)
    return first + (f" and {len(others)} more" if others else "")
