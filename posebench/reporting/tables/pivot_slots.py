"""The places of a pivot table: values, the best of a column, differences to a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from posebench.judging.pairs.cells import ClaimCell
from posebench.results.numbers import bounds_of, number_named
from posebench.results.store import StoredCell
from posebench.suites.claims import LABEL

RUN = "run"


@dataclass(frozen=True)
class Entry:
    """One number of `NUMBERS` in its own scale, with its interval.

    Without a value, `status` and `reason` say why. `best` marks the best score of a column among
    entries of one protocol. `difference` is to the baseline's entry of the same column;
    `not_comparable` names the fields of the protocol that forbid one. `unstable` is why a speed is
    not stable.
    """

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    status: str = "ok"
    reason: str | None = None
    best: bool = False
    difference: float | None = None
    not_comparable: tuple[str, ...] = ()
    unstable: str | None = None


@dataclass(frozen=True)
class Source:
    """A cell, where it is from, and its texts with the run's name."""

    cell: ClaimCell
    stored: StoredCell
    fields: dict[str, str]


class Slot:
    """A place of the table: where its value comes from, and the entry it shows."""

    def __init__(self, source: Source | None, metric: str) -> None:
        self.source = source
        self.entry = None if source is None else _entry(source, metric)

    @property
    def value(self) -> float | None:
        return None if self.entry is None else self.entry.value

    @property
    def identity(self) -> dict[str, Any]:
        return {} if self.source is None else dict(self.source.cell.identity)


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
    def others(self) -> tuple[str, ...]:
        """The row's values of fields that do not go with the checkpoint."""
        own = {"checkpoint", "paradigm", "backbone", "decoder", RUN}
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


def subtract(column: Sequence[tuple[Row, Slot]], baseline: str) -> None:
    """Give each entry its difference to the baseline's entry in the row that is otherwise alike.

    If the baseline has several decoders, the same one counts, or else its own.
    """
    bases: dict[tuple[Any, ...], Slot] = {}
    for row, slot in column:
        if row.checkpoint == baseline and slot.source is not None:
            fields = slot.source.fields
            bases[row.others, fields.get("decoder")] = slot
            if fields.get("own_decoder") == "yes":
                bases[row.others, None] = slot
    for row, slot in column:
        decoder = None if slot.source is None else slot.source.fields.get("decoder")
        base = bases.get((row.others, decoder), bases.get((row.others, None)))
        entry = slot.entry
        if base is None or base is slot or base.value is None:
            continue
        if entry is None or entry.value is None:
            continue
        differing = tuple(n for n, v in slot.identity.items() if v != base.identity.get(n))
        slot.entry = (
            replace(entry, not_comparable=differing)
            if differing
            else replace(entry, difference=entry.value - base.value)
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
