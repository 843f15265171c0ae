"""Cells that differ in one field, such as the seed, as one place of a pivot table. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from posebench.errors import UsageError
from posebench.reporting.tables.pivot.slots import Mean, Source
from posebench.results.numbers import number_named


@dataclass(frozen=True)
class Averaging:
    """Means of `metrics` over the field `over`, at places that share the values of `fields`.

    `options` are the command line's for fields, which errors name.
    """

    over: str
    fields: Sequence[str]
    metrics: Sequence[str]
    options: str = "--rows or --columns"


def averaged(sources: Sequence[Source], asked: Averaging) -> list[Source]:
    """Return a source for all cells of a place, with their means.

    A mean has a value only if every cell has one. Raises `UsageError` if cells of one place do not
    differ in the field that means are taken over, or were measured by other protocols.
    """
    groups: dict[tuple[str, ...], list[Source]] = {}
    for source in sources:
        place = tuple(source.fields.get(name, "") for name in asked.fields)
        groups.setdefault(place, []).append(source)
    return [_averaged(group, asked) for group in groups.values()]


def _averaged(group: Sequence[Source], asked: Averaging) -> Source:
    first, over, metrics = group[0], asked.over, asked.metrics
    seen: dict[str, Source] = {}
    for source in group:
        other = seen.setdefault(source.fields.get(over, ""), source)
        if other is not source:
            names = [
                name
                for name in {**source.fields, **other.fields}
                if source.fields.get(name) != other.fields.get(name) and name != "checkpoint"
            ]
            raise UsageError(
                f"{other.cell.id} and {source.cell.id} have one value of {over} and would fall "
                "into one place.",
                hint=f"Add a field that differs to {asked.options}: {', '.join(names)}.",
            )
        _check_comparable(first, source, asked)
    lacking = next((source for source in group if _lacks(source, metrics)), None)
    shown = first if lacking is None else lacking
    means = {name: _mean([source.cell.values.get(name) for source in group]) for name in metrics}
    # What differs between the cells is no field of the place.
    fields = {
        name: text
        for name, text in shown.fields.items()
        if all(source.fields.get(name) == text for source in group)
    }
    if "checkpoint" not in asked.fields:
        fields["checkpoint"] = ", ".join(dict.fromkeys(s.fields["checkpoint"] for s in group))
    return replace(shown, means=means, fields=fields)


def _check_comparable(one: Source, other: Source, asked: Averaging) -> None:
    kinds = {number_named(name).kind for name in asked.metrics}
    there = other.cell.identity
    names = [n for n, v in one.cell.identity.items() if there.get(n) != v and n != asked.over]
    if "speed" in kinds:
        conditions = other.cell.conditions
        names += [n for n, v in one.cell.conditions.items() if conditions.get(n) != v]
    if names and kinds != {"network"}:
        raise UsageError(
            f"{one.cell.id} and {other.cell.id} were measured otherwise ({', '.join(names)}), so "
            "that they have no mean.",
            hint=f"Name what differs in {asked.options}.",
        )


def _lacks(source: Source, metrics: Sequence[str]) -> bool:
    return any(source.cell.values.get(name) is None for name in metrics)


def _mean(values: Sequence[float | None]) -> Mean:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return Mean(None, None, len(values))
    spread = statistics.stdev(known) if len(known) > 1 else None
    return Mean(statistics.fmean(known), spread, len(known))
