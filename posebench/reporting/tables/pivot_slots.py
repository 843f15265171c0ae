"""The places of a pivot table: values, the best of a column, differences to a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from posebench.judging.claim_cells import CellOfRun
from posebench.judging.differences import Subtraction, chance_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.verdicts import LEVEL
from posebench.results.numbers import bounds_of, number_named
from posebench.results.store import Run, StoredCell
from posebench.suites.claims import LABEL

RUN = "run"
NO_BASELINE = "no baseline here"


@dataclass(frozen=True)
class Entry:
    """One number of `NUMBERS` in its own scale, with its interval.

    Without a value, `status` and `reason` say why. `best` marks the best score of a column among
    entries of one protocol. `difference` is to the baseline's entry of the same column, with its
    interval and p-value where they were asked for; `not_comparable` names the fields of the
    protocol that forbid one, or says that the baseline has no value. `unstable` is why a speed is
    not stable. `is_native` marks an entry of the trained size in the row of another policy, which
    is the same there.
    """

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    status: str = "ok"
    reason: str | None = None
    best: bool = False
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_holm: float | None = None
    told_apart: bool | None = None
    not_comparable: tuple[str, ...] = ()
    unstable: str | None = None
    is_native: bool = False


@dataclass(frozen=True)
class Source:
    """A cell, the position of its run, and its texts with the run's name."""

    cell: ClaimCell
    stored: StoredCell
    fields: dict[str, str]
    run: int = 0

    @property
    def key(self) -> CellOfRun:
        """Which of the runs it is of, and its id."""
        return self.run, self.cell.id


class Slot:
    """A place of the table: where its value comes from, and the entry it shows."""

    def __init__(self, source: Source | None, metric: str, policy: str | None = None) -> None:
        """Take a value from a cell for a row, which may have another `policy` than the cell."""
        self.source = source
        self.entry = None if source is None else _entry(source, metric)
        if source is not None and self.entry is not None and policy is not None:
            self.entry = replace(self.entry, is_native=source.fields.get("policy") != policy)

    @property
    def value(self) -> float | None:
        return None if self.entry is None else self.entry.value

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal in two places before one is subtracted from the other."""
        if self.source is None or self.entry is None:
            return {}
        cell, kind = self.source.cell, number_named(self.entry.metric).kind
        own = {"score": {}, "network": {}, "speed": cell.conditions}[kind]
        return {} if kind == "network" else {**cell.identity, **own}


@dataclass(frozen=True)
class Row:
    """A row of places, and its values of the row fields."""

    keys: tuple[str, ...]
    slots: list[Slot]
    fields: tuple[str, ...]

    @property
    def checkpoint(self) -> str:
        """The checkpoint of the row's first value."""
        return next(s.source.fields["checkpoint"] for s in self.slots if s.source is not None)

    @property
    def policy(self) -> str | None:
        """The row's resize policy, None if it is no field of the rows."""
        return dict(zip(self.fields, self.keys, strict=True)).get("policy")

    @property
    def others(self) -> tuple[str, ...]:
        """The row's values of fields that neither go with the checkpoint nor have a rule."""
        own = {"checkpoint", "paradigm", "backbone", "decoder", "engine", "policy", RUN}
        return tuple(
            key
            for key, name in zip(self.keys, self.fields, strict=True)
            if name not in own and not name.startswith(LABEL)
        )


def mark_best(slots: Sequence[Slot]) -> None:
    """Mark the best scores of a column among those of one protocol."""
    for slot in slots:
        entry = slot.entry
        if entry is None or entry.value is None:
            continue
        number = number_named(entry.metric)
        if number.kind != "score" or number.better is None:
            continue
        rivals = [s.value for s in slots if s.value is not None and s.identity == slot.identity]
        best = max(rivals) if number.better == "higher" else min(rivals)
        slot.entry = replace(entry, best=entry.value == best and max(rivals) > min(rivals))


def subtract(column: Sequence[tuple[Row, Slot]], baseline: str) -> list[tuple[Slot, Slot]]:
    """Give each entry its difference to the baseline's entry in the row that is otherwise alike.

    If the baseline has several decoders, engines or runs, the same ones count, or else its own
    decoder, its first engine and its first run. Returns what was subtracted: the entry's place and
    the baseline's.
    """
    bases: dict[tuple[Any, ...], Slot] = {}
    for row, slot in column:
        if row.checkpoint == baseline and slot.source is not None:
            for key in _keys_of_base(row, slot.source):
                bases.setdefault(key, slot)
    subtracted = []
    for row, slot in column:
        if row.checkpoint == baseline or slot.source is None:
            continue
        base = next((bases[key] for key in _keys(row, slot.source) if key in bases), None)
        entry = slot.entry
        if entry is None or entry.value is None:
            continue
        if base is None or base.value is None:
            slot.entry = replace(entry, not_comparable=(NO_BASELINE,))
            continue
        differing = tuple(n for n, v in slot.identity.items() if v != base.identity.get(n))
        if differing:
            slot.entry = replace(entry, not_comparable=differing)
        else:
            slot.entry = replace(entry, difference=entry.value - base.value)
            subtracted.append((slot, base))
    return subtracted


def _keys(row: Row, source: Source) -> list[tuple[Any, ...]]:
    """Return by what a baseline's entry may be found, the best first; None stands for any value."""
    fields = source.fields
    return [
        (row.others, policy, run, decoder, engine)
        for policy in dict.fromkeys((row.policy, None))
        for run in (source.run, None)
        for engine in (fields.get("engine"), None)
        for decoder in (fields.get("decoder"), None)
    ]


def _keys_of_base(row: Row, source: Source) -> list[tuple[Any, ...]]:
    """Return by what an entry of the baseline is found.

    At the trained size all policies are the same, and its own decoder goes with any other's.
    """
    is_own = source.fields.get("own_decoder") == "yes"
    at_home = source.fields.get("relative_size") == "1x"
    return [
        (others, policy, run, decoder, engine)
        for others, policy, run, decoder, engine in _keys(row, source)
        if (is_own or decoder is not None) and (at_home or policy is not None or not row.policy)
    ]


def add_chance(subtracted: Sequence[tuple[Slot, Slot]], runs: Sequence[Run]) -> None:
    """Give differences their intervals, and tell which of them are told apart from none.

    Raises `DataError` for damaged tables.
    """
    asked = [
        Subtraction(slot.entry.metric, slot.source.key, base.source.key, slot.entry.difference)
        for slot, base in subtracted
        if slot.entry is not None and slot.entry.difference is not None
        if slot.source is not None and base.source is not None
    ]
    # A difference that rows of several policies show is one.
    single = list(dict.fromkeys(asked))
    chances = dict(zip(single, chance_of(runs, single), strict=True))
    for (slot, _), own in zip(subtracted, asked, strict=True):
        chance = chances[own]
        assert slot.entry is not None, "only entries with values are subtracted"
        slot.entry = replace(
            slot.entry,
            difference_low=chance.low,
            difference_high=chance.high,
            p_holm=chance.p_holm,
            told_apart=None if chance.p_holm is None else chance.p_holm < LEVEL,
        )


def _entry(source: Source, metric: str) -> Entry:
    result = source.stored.result
    number, (low, high) = number_named(metric), bounds_of(result, metric) or (None, None)
    repeats = None if number.repeats is None else number.repeats(result)
    return Entry(
        metric,
        source.cell.values.get(metric),
        low,
        high,
        result.status,
        result.reason,
        unstable=None if repeats is None else repeats.doubt,
    )


def has_cell(source: Source) -> bool:
    """Tell whether the checkpoint could be loaded, so that there is a size."""
    return source.stored.result.size is not None
