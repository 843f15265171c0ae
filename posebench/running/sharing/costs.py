"""What cells cost before they run, in giga multiply-accumulates: to estimate time, and to share."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from posebench.results.cell import CellResult
from posebench.running.plan import PlannedCell


def cell_cost(result: CellResult) -> float:
    """Return the giga multiply-accumulates of a cell's network, 0 for one that does not run."""
    if result.status != "ok":
        return 0.0
    passes = 2 if result.protocol.flip_test else 1
    # A network whose cost cannot be counted still takes time.
    return (result.gflops or 1.0) * passes * result.protocol.instances


def dealt_cost(cells: Sequence[PlannedCell]) -> float:
    """Return the cost of cells together as every machine finds it, whatever it can run.

    In giga multiply-accumulates; each network counts once.
    """
    return sum(_cost_anywhere(cell) for cell in network_cells(cells))


def _cost_anywhere(cell: PlannedCell) -> float:
    protocol = cell.result.protocol
    passes = 2 if protocol.flip_test else 1
    return 0.0 if cell.network is None else cell.network.cost * passes * protocol.instances


def network_of(cell: PlannedCell) -> Hashable:
    """Return what cells share that one network answers."""
    return cell.id if cell.network is None else cell.network.key


def network_cells(cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """Return one cell for each network that runs: decoders share it."""
    first: dict[Hashable, PlannedCell] = {}
    for cell in cells:
        first.setdefault(network_of(cell), cell)
    return list(first.values())


def cost_of(cells: Sequence[PlannedCell]) -> float:
    """Return the giga multiply-accumulates of cells together; each network counts once."""
    return sum(cell_cost(cell.result) for cell in network_cells(cells))
