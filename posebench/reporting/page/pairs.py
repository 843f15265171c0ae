"""Cells that may be compared: groups of one protocol, and matched pairs of the two paradigms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from posebench.judging.claim_cells import comparable_identity
from posebench.judging.contrasts import OF_TRANSFORMS
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
    """A heatmap and a SimCC cell of the same size, policy, transform and protocol: a pair."""

    name: str
    letter: str
    heatmap: StoredCell
    simcc: StoredCell

    @property
    def cells(self) -> tuple[StoredCell, StoredCell]:
        """Both cells, heatmap first."""
        return self.heatmap, self.simcc


@dataclass(frozen=True)
class IncomparablePair:
    """A pair by name, size and way (policy, transform) whose cells have two protocols.

    `fields` are those of the protocol that differ.
    """

    name: str
    size: str
    way: str
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
        MatchedPair(key[0], group.letter, sides["heatmap"][0], sides["simcc"][0])
        for group in groups
        for key, sides in _sides(group).items()
        if all(len(sides.get(paradigm, ())) == 1 for paradigm in ("heatmap", "simcc"))
    )


def incomparable_pairs(groups: Sequence[ProtocolGroup]) -> tuple[IncomparablePair, ...]:
    """Return the cells that would be pairs if both paradigms had the same protocol."""
    found: dict[PairKey, dict[str, list[ProtocolGroup]]] = {}
    for group in groups:
        for key, sides in _sides(group).items():
            for paradigm in sides:
                found.setdefault(key, {}).setdefault(paradigm, []).append(group)
    return tuple(
        IncomparablePair(*key, (one.letter, other.letter), _differing(one, other))
        for key, sides in found.items()
        for one in sides.get("heatmap", ())[:1]
        for other in sides.get("simcc", ())[:1]
        if not {g.letter for g in sides["heatmap"]} & {g.letter for g in sides["simcc"]}
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
    result = pair.heatmap.result
    return f"{pair.name} · {result.size} {way_of(result)} · protocol {pair.letter}"


def shown_pairs(pairs: Sequence[MatchedPair], most: int) -> list[MatchedPair]:
    """Return up to `most` pairs to look at closely: those as trained, or else any."""
    trained = [pair for pair in pairs if all(is_as_trained(cell.result) for cell in pair.cells)]
    return (trained or list(pairs))[:most]
