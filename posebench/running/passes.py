"""Passes: cells that run together over the images of a data set, as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from posebench.running.loading import WEIGHTS_OF_A_PASS, file_bytes
from posebench.running.plan import PlannedCell
from posebench.suites.transforms import Transform

Item = TypeVar("Item")
# Bytes of predictions that are held until a pass is done; joining makes one more copy.
_PREDICTIONS_OF_A_PASS = 2**30
_BYTES_OF_A_KEYPOINT = 2 * (2 * 8 + 4)


def passes_on(pending: Sequence[PlannedCell], devices: int) -> list[list[PlannedCell]]:
    """Return which cells run together: all of a data set, as far as memory allows.

    With several devices, each checkpoint runs by itself. With fewer checkpoints than devices, each
    network run does, so that all devices have work.
    """
    if devices == 1:
        by_data = grouped(pending, lambda cell: cell.runs.key.workload)
        return [group for cells in by_data for group in _passes(cells)]
    by_checkpoint = grouped(pending, lambda cell: (cell.runs.key.workload, _file(cell)))
    if len(by_checkpoint) >= devices:
        return by_checkpoint
    return grouped(pending, lambda cell: cell.runs.key)


def grouped(
    cells: Sequence[PlannedCell], key_of: Callable[[PlannedCell], Hashable]
) -> list[list[PlannedCell]]:
    """Return cells in groups of one key, in the order in which the keys come first."""
    groups: dict[Hashable, list[PlannedCell]] = {}
    for cell in cells:
        groups.setdefault(key_of(cell), []).append(cell)
    return list(groups.values())


def _passes(cells: Sequence[PlannedCell]) -> Iterator[list[PlannedCell]]:
    protocol = cells[0].result.protocol
    return passes(cells, _weights, most_cells(protocol.instances, len(protocol.sigmas)))


def _file(cell: PlannedCell) -> Path:
    return cell.checkpoint.source.path


def _weights(cell: PlannedCell) -> tuple[Path, Transform]:
    """Return what has weights of its own: each transform of a file has."""
    return _file(cell), cell.runs.key.transform


def most_cells(instances: int, keypoints: int) -> int:
    """Return how many cells' predictions of a data set are held together, at least 1."""
    own = instances * keypoints * _BYTES_OF_A_KEYPOINT
    return max(_PREDICTIONS_OF_A_PASS // max(own, 1), 1)


def passes(
    items: Iterable[Item], weights_of: Callable[[Item], tuple[Path, Hashable]], most: int
) -> Iterator[list[Item]]:
    """Yield `items` in order, in groups whose weights have at most 1 GiB together.

    `weights_of` gives the file of an item's weights, and which of its versions they are.

    A larger file makes a group of its own; no group has more than `most` items.
    """
    group: list[Item] = []
    sizes: dict[tuple[Path, Hashable], int] = {}
    for item in items:
        weights = weights_of(item)
        size = file_bytes(weights[0])
        heavy = weights not in sizes and sum(sizes.values()) + size > WEIGHTS_OF_A_PASS
        if group and (heavy or len(group) >= most):
            yield group
            group, sizes = [], {}
        group.append(item)
        sizes[weights] = size
    if group:
        yield group


def pass_name(checkpoints: Iterable[str]) -> str:
    """Return the name of a pass that runs, made from the names of its checkpoints."""
    first, *others = dict.fromkeys(checkpoints)
    return first + (f" and {len(others)} more" if others else "")
