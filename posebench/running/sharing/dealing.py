"""Cells dealt by their cost, so that all who run them end together.

The cells of a checkpoint stay together, as it is loaded once for all of them. One that is dearer
than a fair share is dealt by its network runs, unless it is trained first. The deal follows from
the plan alone, and not from what a machine can run, so that all who make it make the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from posebench.running.passes import grouped
from posebench.running.plan import PlannedCell
from posebench.running.sharing.costs import dealt_cost, network_of
from posebench.running.sources import SuiteCheckpoint

# A step of training costs about three answers: forward, and twice that backward.
_STEP = 3.0


@dataclass(frozen=True)
class _Piece:
    """Cells that one of the parts gets together."""

    cells: tuple[PlannedCell, ...]
    cost: float


def training_of(checkpoint: SuiteCheckpoint) -> str | None:
    """Return the name of the training that a checkpoint comes from, None if there is none.

    A training has one more checkpoint for each further test size, behind an `@`.
    """
    if checkpoint.datasets is None:
        return None
    return checkpoint.source.name.partition("@")[0]


def deal(
    cells: Sequence[PlannedCell], parts: int, crops: Mapping[str, int]
) -> list[list[PlannedCell]]:
    """Return the cells of each part, in the order of the plan.

    `crops` are those that trainings see, by name: what it takes to train a checkpoint counts.
    """
    pieces = _pieces(cells, parts, crops)
    loads = [(0.0, 0)] * parts
    owners: dict[str, int] = {}
    for piece in sorted(pieces, key=lambda piece: (-piece.cost, piece.cells[0].id)):
        part = loads.index(min(loads))
        cost, count = loads[part]
        loads[part] = cost + piece.cost, count + len(piece.cells)
        owners.update((cell.id, part) for cell in piece.cells)
    return [[cell for cell in cells if owners[cell.id] == part] for part in range(parts)]


def _pieces(cells: Sequence[PlannedCell], parts: int, crops: Mapping[str, int]) -> list[_Piece]:
    wholes = [
        _Piece(tuple(group), dealt_cost(group) + _training_cost(group, crops))
        for group in grouped(cells, _checkpoint)
    ]
    fair = sum(piece.cost for piece in wholes) / parts
    pieces = []
    for whole in wholes:
        if whole.cost <= fair or training_of(whole.cells[0].checkpoint) is not None:
            pieces.append(whole)
            continue
        for group in grouped(whole.cells, network_of):
            pieces.append(_Piece(tuple(group), dealt_cost(group)))
    return pieces


def _training_cost(cells: Sequence[PlannedCell], crops: Mapping[str, int]) -> float:
    seen = crops.get(training_of(cells[0].checkpoint) or "", 0)
    costs = [1.0 if cell.network is None else cell.network.cost for cell in cells]
    return _STEP * seen * max(costs)


def _checkpoint(cell: PlannedCell) -> Hashable:
    """Return what tells checkpoints apart that are loaded, or trained, by themselves."""
    return training_of(cell.checkpoint) or cell.checkpoint.source.files
