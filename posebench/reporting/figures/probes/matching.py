"""Share of points that tokens match, by layer, beside the controls. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.probes.lines import ARMS, data_line, of_probe, probe_looks
from posebench.reporting.figures.style import (
    INTERVAL_CAP,
    SOFT,
    LegendEntry,
    Looks,
    mark_look,
)
from posebench.reporting.figures.svg import say
from posebench.results.probes import ProbeRow
from posebench.results.reading import ReadProbe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRIC = "match PCK@0.1"
_POINTS = {"labelled": "labelled keypoints", "between": "middles of bones"}
_UNTRAINED = {**mark_look(None, "x"), "markersize": 3.4}
# How far apart the marks of one layer stand, as a share of the distance between layers.
_DODGE = 0.11


def matching_drawing(probes: Sequence[ReadProbe], looks: Looks | None = None) -> Drawing | None:
    """Draw PCK@0.1 of matches by layer, a panel for each kind of points and number of examples.

    Without `looks`, checkpoints look as they come.
    """
    looks = looks or probe_looks(probes)
    found = of_probe(probes, "tokens")
    if not found:
        return None
    rows = [row for read in found for row in read.probe.rows]
    keys = dict.fromkeys((row.where["points"], row.where["shots"]) for row in rows)
    panels = [
        Panel(
            f"{_POINTS.get(points, points)}, {shots} example{'s' * (shots != '1')}",
            f"Share of {_POINTS.get(points, points)} matched by layer with {shots} examples",
            partial(_draw, probes=found, points=points, shots=shots, looks=looks),
        )
        for points, shots in keys
    ]
    return Drawing(
        heading=data_line([read.probe for read in found]),
        panels=tuple(panels),
        legend=(
            *looks.legend((read.probe.checkpoint.name for read in found), line=False),
            LegendEntry(ARMS["untrained"], _UNTRAINED),
        ),
        columns=2,
        height=2.3,
        same_y=True,
    )


def _draw(
    axes: Axes, *, probes: Sequence[ReadProbe], points: str, shots: str, looks: Looks
) -> None:
    chosen = [
        (read, row)
        for read in probes
        for row in read.probe.rows
        if (row.where["points"], row.where["shots"]) == (points, shots)
    ]
    layers = list(dict.fromkeys(_layer(row) for _, row in chosen))
    names = [read.probe.checkpoint.name for read in probes]
    for read, row in chosen:
        value = row.numbers.get(METRIC)
        if value is None:
            continue
        place = names.index(read.probe.checkpoint.name)
        x = layers.index(_layer(row)) + _DODGE * (place - (len(names) - 1) / 2)
        look: dict[str, Any] = _UNTRAINED
        if row.arm != "untrained":
            trained = row.arm == "trained"
            look = looks.mark(read.probe.checkpoint.name) if trained else mark_look(None)
        low, high = row.low.get(METRIC), row.high.get(METRIC)
        if low is not None and high is not None:
            caps: dict[str, Any] = {
                "color": SOFT,
                "linewidth": 0.8,
                "marker": INTERVAL_CAP,
                "markersize": 3.0,
            }
            axes.plot([x, x], [100 * low, 100 * high], **caps)
        (mark,) = axes.plot([x], [100 * value], **look)
        say(mark, f"{read.probe.checkpoint.name}, {row.arm}, {_layer(row)}: {100 * value:.1f}")
    axes.set_xticks(range(len(layers)), layers, rotation=30)
    axes.set(ylabel="PCK@0.1 (points)", ylim=(0, 102))


def _layer(row: ProbeRow) -> str:
    return row.where.get("layer", row.arm)
