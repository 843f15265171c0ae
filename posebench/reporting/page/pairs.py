"""Cells that may be compared: groups of one protocol, and pairs of two checkpoints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from posebench.judging.claim_cells import comparable_identity
from posebench.judging.contrasts import OF_TRANSFORMS
from posebench.reporting.figures.style import PARADIGMS
from posebench.reporting.figures.values import is_as_trained, score_value, way_of, worth_of
from posebench.reporting.texts import NO_VALUE, file_labels
from posebench.results.store import StoredCell
from posebench.suites.trained import ARM, OWN_LABELS

# What two trainings share that may be held against each other: their seed, data and budget.
_OF_TRAININGS = tuple(label for label in OWN_LABELS if label != ARM)


@dataclass(frozen=True)
class ProtocolGroup:
    """Cells whose numbers may be subtracted, under a letter; `identity` is what they share."""

    letter: str
    identity: dict[str, Any]
    cells: tuple[StoredCell, ...]


@dataclass(frozen=True)
class CellPair:
    """Two cells of two checkpoints, side by side; what is subtracted is the first.

    `label` is what pairs of one run are told apart by, if they are labelled; `letters` are those
    of the cells' protocols, `differing` the protocol's fields that forbid to subtract.
    """

    cells: tuple[StoredCell, StoredCell]
    letters: tuple[str, str]
    label: str = ""
    differing: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, str]:
        """The names of both checkpoints."""
        one, other = (cell.result.checkpoint.name for cell in self.cells)
        return one, other


def protocol_groups(cells: Sequence[StoredCell]) -> tuple[ProtocolGroup, ...]:
    """Group cells that have a size by protocol, in their order; `A` is the first one's."""
    groups: dict[str, list[StoredCell]] = {}
    for cell in cells:
        if cell.result.size is not None:
            identity = json.dumps(_identity(cell), sort_keys=True)
            groups.setdefault(identity, []).append(cell)
    letters = file_labels(len(groups))
    return tuple(
        ProtocolGroup(letter, _identity(found[0]), tuple(found))
        for letter, found in zip(letters, groups.values(), strict=True)
    )


def _identity(cell: StoredCell) -> dict[str, Any]:
    """Return the protocol that a group shares; what was done to a network is a way to run it."""
    protocol = comparable_identity(cell.result)
    return {name: value for name, value in protocol.items() if name not in OF_TRANSFORMS}


def pair_name(cell: StoredCell) -> str:
    """Return what the cells of a pair share: the label, else backbone and trained size.

    Those that a suite trained also share what their trainings had in common.
    """
    facts = cell.result.checkpoint
    own = cell.labels.get("pair") or f"{facts.backbone} {facts.trained_size}"
    return ", ".join((own, *(f"{label} {value}" for label, value in training_of(cell).items())))


def training_of(cell: StoredCell) -> dict[str, str]:
    """Return the labels of a cell that trained arms share, such as the seed."""
    return {label: cell.labels[label] for label in _OF_TRAININGS if label in cell.labels}


def matched_pairs(groups: Sequence[ProtocolGroup]) -> tuple[CellPair, ...]:
    """Return the pairs of two paradigms that share label or backbone, size, way and protocol.

    They are of cells with numbers and their own decoders, in the order of `PARADIGMS`. If several
    cells of a paradigm are alike in all that pairs share, none is paired.
    """
    return tuple(
        CellPair((sides[one][0], sides[other][0]), (group.letter, group.letter), key[0])
        for group in groups
        for key, sides in _sides(group).items()
        for one, other in combinations(PARADIGMS, 2)
        if len(sides.get(one, ())) == len(sides.get(other, ())) == 1
    )


def incomparable_pairs(groups: Sequence[ProtocolGroup]) -> tuple[CellPair, ...]:
    """Return the cells that would be matched pairs if they had the same protocol."""
    found: dict[PairKey, dict[str, list[tuple[ProtocolGroup, StoredCell]]]] = {}
    for group in groups:
        for key, sides in _sides(group).items():
            for paradigm, cells in sides.items():
                found.setdefault(key, {}).setdefault(paradigm, []).append((group, cells[0]))
    return tuple(
        _across(sides[first][0], sides[second][0], key[0])
        for key, sides in found.items()
        for first, second in combinations(PARADIGMS, 2)
        if first in sides and second in sides
        if not {g.letter for g, _ in sides[first]} & {g.letter for g, _ in sides[second]}
    )


def two_best(groups: Sequence[ProtocolGroup]) -> tuple[CellPair, ...]:
    """Return the two checkpoints of the highest AP of each protocol, the best one first.

    Each is shown as it was trained if that was measured. Two that a suite trained share seed, data
    and budget; where every pair differs in these, the best two are returned all the same. If no
    protocol has two checkpoints, the best of all are returned, which cannot be subtracted.
    """
    ranked = [_ranked(group) for group in groups]
    pairs = tuple(
        CellPair(_best_alike(cells), (group.letter, group.letter))
        for group, cells in zip(groups, ranked, strict=True)
        if len(cells) > 1
    )
    if pairs:
        return pairs
    best = [(g, cells[0]) for g, cells in zip(groups, ranked, strict=True) if cells]
    best.sort(key=lambda each: -worth_of(each[1].result))
    names = {cell.result.checkpoint.name for _, cell in best[:2]}
    return (_across(best[0], best[1]),) if len(names) == 2 else ()


def _best_alike(ranked: Sequence[StoredCell]) -> tuple[StoredCell, StoredCell]:
    """Return the best two that differ in no seed, data or budget of training, else the best two.

    One that a suite trained may be held against any that it did not train.
    """
    for pair in combinations(ranked, 2):
        one, other = map(training_of, pair)
        if one == other or not (one and other):
            return pair
    return ranked[0], ranked[1]


def _ranked(group: ProtocolGroup) -> list[StoredCell]:
    """Return one cell of each checkpoint of a protocol, the highest AP first."""
    chosen: dict[str, StoredCell] = {}
    cells = [cell for cell in group.cells if score_value(cell.result) is not None]
    for cell in sorted(cells, key=lambda c: (not is_as_trained(c.result), -worth_of(c.result))):
        chosen.setdefault(cell.result.checkpoint.name, cell)
    return sorted(chosen.values(), key=lambda cell: -worth_of(cell.result))


Place = tuple[ProtocolGroup, StoredCell]
PairKey = tuple[str, str, str]


def _across(one: Place, other: Place, label: str = "") -> CellPair:
    """Return a pair of two protocols."""
    letters = one[0].letter, other[0].letter
    return CellPair((one[1], other[1]), letters, label, differing_fields(one[0], other[0]))


def _sides(group: ProtocolGroup) -> dict[PairKey, dict[str, list[StoredCell]]]:
    """Return cells with numbers by pair, size and way, and by paradigm."""
    found: dict[PairKey, dict[str, list[StoredCell]]] = {}
    for cell in group.cells:
        result = cell.result
        if result.status == "ok" and result.has_own_decoder is not False:
            key = (pair_name(cell), str(result.size), way_of(result))
            sides = found.setdefault(key, {})
            sides.setdefault(result.checkpoint.paradigm or "", []).append(cell)
    return found


def differing_fields(one: ProtocolGroup, other: ProtocolGroup) -> tuple[str, ...]:
    """Return the fields of the protocol in which two groups differ."""
    names = {**one.identity, **other.identity}
    return tuple(n for n in names if one.identity.get(n) != other.identity.get(n))


def place_text(pair: CellPair) -> str:
    """Return the size and way of a pair; both cells' where they differ."""
    places = (f"{cell.result.size} {way_of(cell.result)}".strip() for cell in pair.cells)
    return " / ".join(dict.fromkeys(places))


def protocol_text(pair: CellPair) -> str:
    """Return the letters of a pair's protocols."""
    return " / ".join(dict.fromkeys(pair.letters)) or NO_VALUE


def pair_title(pair: CellPair) -> str:
    """Return which checkpoints a pair holds, and what tells it from others."""
    first, second = pair.names
    parts = [f"{second} against {first}", place_text(pair), f"protocol {protocol_text(pair)}"]
    parts += [f"not comparable: other {', '.join(pair.differing)}"] if pair.differing else []
    return " · ".join(parts)


def shown_pairs(pairs: Sequence[CellPair], most: int) -> list[CellPair]:
    """Return up to `most` pairs to look at closely: the comparable ones as trained, or else any."""
    comparable = [pair for pair in pairs if not pair.differing] or list(pairs)
    trained = [p for p in comparable if all(is_as_trained(cell.result) for cell in p.cells)]
    return (trained or comparable)[:most]
