"""Cosines of position vectors by their distance, and their curve. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.probes.lines import (
    arm_legend,
    line_of,
    of_probe,
    probe_looks,
)
from posebench.reporting.figures.style import GRID, Looks
from posebench.reporting.figures.svg import clean, say
from posebench.results.reading import ReadProbe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKED = 8


def position_code_drawing(
    probes: Sequence[ReadProbe], looks: Looks | None = None
) -> Drawing | None:
    """Draw cosines by distance for each axis, and the curve of the last checkpoint's vectors.

    Without `looks`, checkpoints look as they come.
    """
    looks = looks or probe_looks(probes)
    found = of_probe(probes, "position-code")
    if not found:
        return None
    panels = [
        Panel(
            f"Cosine of two {axis} vectors",
            f"Mean cosine of position vectors of {axis} by their distance",
            partial(_draw_cosines, probes=found, axis=axis, looks=looks),
        )
        for axis in ("x", "y")
    ]
    last = found[-1]
    name = clean(last.probe.checkpoint.name)
    for axis in ("x", "y"):
        panels.append(
            Panel(
                f"{name}: {axis} vectors along their two main components",
                f"Curve of the {axis} position vectors of {name}",
                partial(_draw_curve, read=last, axis=axis, looks=looks),
            )
        )
    arms = [row.arm for read in found for row in read.probe.rows]
    return Drawing(
        heading="Position vectors: the rows of SimCC's last layers · bands: 10 to 90 % of pairs",
        panels=tuple(panels),
        legend=arm_legend(arms, (read.probe.checkpoint.name for read in found), looks),
        columns=2,
        height=2.1,
    )


def _draw_cosines(axes: Axes, *, probes: Sequence[ReadProbe], axis: str, looks: Looks) -> None:
    for read in probes:
        for row in read.probe.rows:
            if row.where["axis"] != axis:
                continue
            mean, low, high = read.arrays[f"by distance/{row.arm}/{axis}"]
            (sigma,) = read.arrays[f"sigma/{row.arm}/{axis}"]
            # At the largest distances there are few pairs.
            most = int(0.9 * len(mean))
            distances = np.arange(most) / sigma
            look = line_of(row.arm, read.probe.checkpoint.name, looks)
            if row.arm == "trained":
                band = {"color": look["color"], "alpha": 0.5 / (1 + len(probes)), "linewidth": 0}
                axes.fill_between(distances, low[:most], high[:most], **band)
            (line,) = axes.plot(distances, mean[:most], **look)
            say(line, f"{read.probe.checkpoint.name}, {row.arm}")
    axes.set(xlabel="distance of bins (training σ)", ylabel="cosine", ylim=(-0.65, 1.05))


def _draw_curve(axes: Axes, *, read: ReadProbe, axis: str, looks: Looks) -> None:
    curve = read.arrays[f"curve/trained/{axis}"]
    colour = looks.colour(read.probe.checkpoint.name).light
    axes.plot(curve[:, 0], curve[:, 1], color=colour, linewidth=0.8, marker=".", markersize=2.0)
    for place in np.linspace(0, len(curve) - 1, _MARKED).astype(int):
        (mark,) = axes.plot(*curve[place], color=colour, marker="o", markersize=4, linestyle="none")
        say(mark, f"bin {place}")
        axes.annotate(
            str(place), curve[place], xytext=(3, 3), textcoords="offset points", fontsize=6.5
        )
    axes.set(xlabel="first component", ylabel="second component", aspect="equal")
    axes.axhline(0, color=GRID, linewidth=0.8)
    axes.set_adjustable("datalim")
