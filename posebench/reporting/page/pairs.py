"""Cells that may be compared: groups of one protocol, and matched pairs of two paradigms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from posebench.judging.claim_cells import comparable_identity
from posebench.judging.contrasts import OF_TRANSFORMS
from posebench.reporting.figures.style import PARADIGMS, paradigm_of
from posebench.reporting.figures.values import is_as_trained, way_of
from posebench.reporting.texts import file_labels
from posebench.results.store import StoredCell


@dataclass(frozen=True)
class ProtocolGroup:
    """Cells whose numbers may be subtracted, under a letter; `identity` is what they share."""

    letter: str
    identity: dict[str, Any]
    cells: tuple[StoredCell, ...]


@dataclass(frozen=True)
class MatchedPair:
    """Two cells of the same size, policy, transform and protocol that differ in their paradigm.

    The paradigms stand in the order of `PARADIGMS`.
    """

    name: str
    letter: str
    cells: tuple[StoredCell, StoredCell]

    @property
    def paradigms(self) -> tuple[str, str]:
        """The names of both paradigms, as results have them."""
        one, other = (cell.result.checkpoint.paradigm or "" for cell in self.cells)
        return one, other

    @property
    def paradigm_names(self) -> tuple[str, str]:
        """The names of both paradigms, as people write them."""
        one, other = (paradigm_of(name).name for name in self.paradigms)
        return one, other


@dataclass(frozen=True)
class IncomparablePair:
    """A pair by name, size and way (policy, transform) whose cells have two protocols.

    `paradigms` are the names as people write them, `fields` those of the protocol that differ.
    """

    name: str
    size: str
    way: str
    paradigms: tuple[str, str]
    letters: tuple[str, str]
    fields: tuple[str, ...]


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
    """Return what the cells of a pair share: the label, else backbone and trained size."""
    facts = cell.result.checkpoint
    return cell.labels.get("pair") or f"{facts.backbone} {facts.trained_size}"


def matched_pairs(groups: Sequence[ProtocolGroup]) -> tuple[MatchedPair, ...]:
    """Return the pairs of all groups, of cells with numbers and their own decoders.

    If several cells of a paradigm are alike in all that pairs share, none is paired.
    """
    return tuple(
        MatchedPair(key[0], group.letter, (sides[one][0], sides[other][0]))
        for group in groups
        for key, sides in _sides(group).items()
        for one, other in combinations(PARADIGMS, 2)
        if len(sides.get(one, ())) == len(sides.get(other, ())) == 1
    )


def incomparable_pairs(groups: Sequence[ProtocolGroup]) -> tuple[IncomparablePair, ...]:
    """Return the cells that would be pairs if their paradigms had the same protocol."""
    found: dict[PairKey, dict[str, list[ProtocolGroup]]] = {}
    for group in groups:
        for key, sides in _sides(group).items():
            for paradigm in sides:
                found.setdefault(key, {}).setdefault(paradigm, []).append(group)
    return tuple(
        IncomparablePair(
            *key,
            (PARADIGMS[first].name, PARADIGMS[second].name),
            (one.letter, other.letter),
            _differing(one, other),
        )
        for key, sides in found.items()
        for first, second in combinations(PARADIGMS, 2)
        for one in sides.get(first, ())[:1]
        for other in sides.get(second, ())[:1]
        if not {g.letter for g in sides[first]} & {g.letter for g in sides[second]}
    )


PairKey = tuple[str, str, str]


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


def _differing(one: ProtocolGroup, other: ProtocolGroup) -> tuple[str, ...]:
    names = {**one.identity, **other.identity}
    return tuple(n for n in names if one.identity.get(n) != other.identity.get(n))


def pair_title(pair: MatchedPair) -> str:
    """Return a pair's name with what tells it from others."""
    result = pair.cells[0].result
    paradigms = " and ".join(pair.paradigm_names)
    return f"{pair.name} · {paradigms} · {result.size} {way_of(result)} · protocol {pair.letter}"


def shown_pairs(pairs: Sequence[MatchedPair], most: int) -> list[MatchedPair]:
    """Return up to `most` pairs to look at closely: those as trained, or else any."""
    trained = [pair for pair in pairs if all(is_as_trained(cell.result) for cell in pair.cells)]
    return (trained or list(pairs))[:most]
