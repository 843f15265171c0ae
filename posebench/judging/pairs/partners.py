"""Which cell of another run a cell is compared with: by name, content, labels, or as one says.

No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posebench.errors import UsageError, nearest
from posebench.results.store import Run, StoredCell


@dataclass(frozen=True)
class Partners:
    """The ids of cells that are compared, None where one run has none; `said` is what to show.

    `pairs` are in the order of the baseline's cells, then those that only the candidate has.
    """

    pairs: tuple[tuple[str | None, str | None], ...]
    said: tuple[str, ...] = ()


def parse_aliases(texts: Sequence[str]) -> dict[str, str]:
    """Return the candidate's checkpoint for the baseline's from texts such as `old=new`.

    Raises `UsageError` if a text is of another form.
    """
    found = {}
    for text in texts:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise UsageError(
                f"--map {text} does not say what is compared with what.", hint="Write OLD=NEW."
            )
        found[old] = new
    return found


def partners_of(old: Run, new: Run, aliases: Mapping[str, str]) -> Partners:
    """Return which cells of two runs are compared.

    A checkpoint that `aliases` name is compared as they say. Otherwise cells of one id belong
    together, then those of one place whose checkpoints hold the same bytes, then those whose
    labels are the same. Raises `UsageError` if there is no such checkpoint.
    """
    _check(aliases, (old, new))
    search = _Search(old, new, aliases)
    there = {cell.id: cell for cell in old.cells}
    found: dict[str, str | None] = {}
    for name in old.record.cells:
        found[name] = search.partner(name, there.get(name))
    left = [name for name in new.record.cells if name not in {*found.values(), *found}]
    pairs = (*found.items(), *((None, name) for name in left))
    return Partners(pairs, (*search.said, *_left_apart(pairs, there, new)))


class _Search:
    """Finds the partners of the baseline's cells, and notes what is to be said of them."""

    def __init__(self, old: Run, new: Run, aliases: Mapping[str, str]) -> None:
        self.said: dict[str, None] = {}
        self._aliases = aliases
        self._named = {*new.record.cells}
        known = {*old.record.cells}
        self._all = new.cells
        self._free = [cell for cell in new.cells if cell.id not in known]

    def partner(self, name: str, cell: StoredCell | None) -> str | None:
        """Return the id of the cell that one is compared with, None without one."""
        wanted = None if cell is None else self._aliases.get(cell.result.checkpoint.name)
        if cell is not None and wanted is not None:
            told = _told(cell, [c for c in self._all if c.result.checkpoint.name == wanted], _place)
            return self._found(cell, told, "as --map says")
        if name in self._named or cell is None:
            return name if name in self._named else None
        # Ids are made of names: cells of one name and different ids are different cells.
        renamed = [c for c in self._free if _names(c) != _names(cell)]
        digest = cell.result.checkpoint.sha256
        same = [c for c in renamed if digest and c.result.checkpoint.sha256 == digest]
        if (found := _told(cell, same, _content_place)) is not None:
            return self._found(cell, found, "the same content")
        alike = [c for c in renamed if cell.labels and c.labels == cell.labels]
        return self._found(cell, _told(cell, alike, _place), "the same labels")

    def _found(self, cell: StoredCell, partner: StoredCell | None, why: str) -> str | None:
        if partner is None:
            return None
        if partner in self._free:
            self._free.remove(partner)
        names = [each.result.checkpoint.name for each in (cell, partner)]
        if names[0] != names[1]:
            self.said[f"{names[0]} is compared with {names[1]}: {why}"] = None
        elif cell.id != partner.id:
            self.said[f"{cell.id} is compared with {partner.id}: {why}"] = None
        return partner.id


def _told(
    cell: StoredCell, among: Sequence[StoredCell], place: Callable[[StoredCell], Any]
) -> StoredCell | None:
    """Return the one cell of the same place, None if there is none or several are."""
    found = [other for other in among if place(other) == place(cell)]
    return found[0] if len(found) == 1 else None


def _names(cell: StoredCell) -> tuple[str, str, str]:
    protocol = cell.result.protocol
    return cell.result.checkpoint.name, protocol.dataset, protocol.boxes


def _content_place(cell: StoredCell) -> tuple[Any, ...]:
    """Return where a cell lies in the grid, by the content of its data and not by their names."""
    protocol = cell.result.protocol
    return (*_place(cell), protocol.decoder)


def _place(cell: StoredCell) -> tuple[Any, ...]:
    """Return where a cell lies in the grid; a checkpoint's own decoder is like any other's own."""
    result, protocol = cell.result, cell.result.protocol
    own = result.has_own_decoder
    return (
        protocol.annotations_sha256,
        protocol.boxes_sha256 or protocol.boxes,
        (protocol.min_box_score, protocol.box_nms, protocol.max_boxes),
        result.size,
        result.policy,
        protocol.flip_test,
        protocol.engine,
        protocol.precision,
        protocol.transform,
        protocol.corruption,
        protocol.record,
        own if own is not False else protocol.decoder,
    )


def _check(aliases: Mapping[str, str], runs: tuple[Run, Run]) -> None:
    for names, run in zip((aliases, aliases.values()), runs, strict=True):
        there = dict.fromkeys(cell.result.checkpoint.name for cell in run.cells)
        for name in names:
            if name not in there:
                raise UsageError(
                    f"--map: {run.folder} has no checkpoint {name!r}.", hint=nearest(name, there)
                )


def _left_apart(
    pairs: Sequence[tuple[str | None, str | None]], old: Mapping[str, StoredCell], new: Run
) -> list[str]:
    """Return how to compare checkpoints that only one of the runs has, if both have some."""
    there = {cell.id: cell for cell in new.cells}
    lost = {
        old[name].result.checkpoint.name: None
        for name, partner in pairs
        if partner is None and name is not None and name in old
    }
    added = {
        there[partner].result.checkpoint.name: None
        for name, partner in pairs
        if name is None and partner is not None and partner in there
    }
    if not lost or not added:
        return []
    names = next(iter(lost)), next(iter(added))
    return [
        f"only in the baseline: {', '.join(lost)}; only in the candidate: {', '.join(added)}: "
        f"--map {names[0]}={names[1]} compares them"
    ]
