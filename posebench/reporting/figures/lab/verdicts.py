"""The effects of a run's verdicts, a row for each claim and data set, with single seeds' dots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from posebench.judging.verdicts import OnOneDataSet, Verdict, VerdictWord
from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.style import GRID, INK, PAPER, SOFT, LegendEntry
from posebench.reporting.figures.svg import clean, say
from posebench.reporting.figures.values import protocol_line
from posebench.reporting.texts import of_metric
from posebench.results.cell import CellResult
from posebench.results.numbers import number_named
from posebench.suites.claims import Claim

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _ABOVE = 0.26, 0.24
_SEED: dict[str, Any] = {
    "color": SOFT, "marker": "o", "markersize": 2.8, "markerfacecolor": PAPER, "linestyle": "none",
}  # fmt: skip
_MEAN: dict[str, Any] = {"color": INK, "marker": "D", "markersize": 3.8, "linestyle": "none"}


@dataclass(frozen=True)
class EffectRow:
    """One claim's effect on one data set, in the metric's own scale."""

    claim: Claim
    dataset: str
    verdict: VerdictWord
    effect: float
    low: float | None
    high: float | None
    seeds: tuple[float, ...]

    @property
    def label(self) -> str:
        """What the row is called."""
        return " · ".join(filter(None, (self.claim.id, self.dataset)))


def effect_rows(verdicts: Sequence[Verdict]) -> list[EffectRow]:
    """Return a row for each claim that has an effect, or one for each of its data sets."""
    rows = []
    for verdict in verdicts:
        if verdict.effect is None:
            continue
        parts: Sequence[OnOneDataSet | Verdict] = verdict.by_dataset or (verdict,)
        for part in parts:
            assert part.effect is not None
            name = part.dataset if isinstance(part, OnOneDataSet) else ""
            seeds = tuple(effect for _, effect in part.by_seed)
            rows.append(
                EffectRow(
                    verdict.claim, name, part.verdict, part.effect, part.low, part.high, seeds
                )
            )
    return rows


def verdicts_drawing(
    verdicts: Sequence[Verdict], results: Sequence[CellResult] = ()
) -> Drawing | None:
    """Draw effects with their intervals, margins and seeds; None where no claim has an effect.

    `results` are those of the cells that were judged; their protocol is the heading.
    """
    by_unit: dict[str, list[EffectRow]] = {}
    for row in effect_rows(verdicts):
        per = f" per doubling of {row.claim.trend}" if row.claim.trend else ""
        unit = f"effect ({of_metric(row.claim.metric)}{per})"
        by_unit.setdefault(unit, []).append(row)
    if not by_unit:
        return None
    panels = tuple(
        Panel("", f"{unit}: {'; '.join(map(_said, rows))}", partial(_draw, rows=rows, label=unit))
        for unit, rows in by_unit.items()
    )
    most = max(map(len, by_unit.values()))
    has_seeds = any(len(row.seeds) > 1 for rows in by_unit.values() for row in rows)
    looks = [("mean and 95 % interval", {**_MEAN, "linestyle": "-"})]
    looks += [("one training seed", _SEED)] if has_seeds else []
    looks += [("supports the claim", {"color": GRID, "linewidth": 6})]
    return Drawing(
        heading=protocol_line(results) if results else "",
        panels=panels,
        legend=tuple(LegendEntry(text, look) for text, look in looks),
        columns=1,
        height=0.45 + _ROW * most,
    )


def _draw(axes: Axes, *, rows: Sequence[EffectRow], label: str) -> None:
    scale = number_named(rows[0].claim.metric).unit.scale
    ends = [
        scale * value
        for row in rows
        for value in (
            row.effect,
            row.low,
            row.high,
            row.claim.margin,
            -row.claim.margin,
            *row.seeds,
        )
        if value is not None
    ]
    reach = 1.1 * max(map(abs, ends)) or 1.0
    for place, row in enumerate(rows):
        for left, right in _supporting(row.claim, scale, reach):
            axes.barh(place, right - left, left=left, height=0.72, color=GRID, linewidth=0)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    for place, row in enumerate(rows):
        if row.low is not None and row.high is not None:
            ends_of = [scale * row.low, scale * row.high]
            axes.plot(ends_of, [place, place], color=INK, linewidth=1.5)
        if len(row.seeds) > 1:
            axes.plot(
                [scale * each for each in row.seeds], [place - _ABOVE] * len(row.seeds), **_SEED
            )
        (mark,) = axes.plot([scale * row.effect], [place], **_MEAN)
        say(mark, _said(row))
    axes.set_yticks(range(len(rows)), [clean(f"{row.label}: {row.verdict}") for row in rows])
    axes.set(xlim=(-reach, reach), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xlabel(label)
    axes.grid(visible=False)


def _supporting(claim: Claim, scale: float, reach: float) -> list[tuple[float, float]]:
    """Return where an effect is as the claim says, between the ends of the axis."""
    margin = scale * claim.margin
    if claim.direction == "within":
        return [(-margin, margin)]
    return [(margin, reach)] if claim.direction == "greater" else [(-reach, -margin)]


def _said(row: EffectRow) -> str:
    unit = number_named(row.claim.metric).unit
    text = f"{clean(row.label)}: {row.verdict}, {unit.signed(row.effect)}"
    if row.low is not None and row.high is not None:
        text += f", 95 % {unit.signed(row.low)} to {unit.signed(row.high)}"
    return text
