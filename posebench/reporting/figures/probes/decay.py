"""The response by its distance from the peak, beside the training targets. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.probes.lines import (
    arm_legend,
    data_line,
    line_of,
    of_probe,
    probe_looks,
)
from posebench.reporting.figures.style import Looks, paradigm_of
from posebench.reporting.figures.svg import say
from posebench.results.reading import ReadProbe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AXES = {"plane": "in the plane", "x": "along x", "y": "along y"}


def decay_drawing(probes: Sequence[ReadProbe], looks: Looks | None = None) -> Drawing | None:
    """Draw the mean response around peaks and labels, a panel for each paradigm and axis.

    Without `looks`, checkpoints look as they come.
    """
    looks = looks or probe_looks(probes)
    found = of_probe(probes, "decay")
    if not found:
        return None
    keys = dict.fromkeys(
        (read.probe.checkpoint.paradigm, row.where["axis"], row.where["around"])
        for read in found
        for row in read.probe.rows
    )
    panels = [
        Panel(
            f"{paradigm_of(paradigm).name} {_AXES.get(axis, axis)}, around the {around}",
            f"Response by distance: {paradigm_of(paradigm).name}, {axis}, around the {around}",
            partial(_draw, probes=found, key=(paradigm, axis, around), looks=looks),
        )
        for paradigm, axis, around in keys
    ]
    arms = [row.arm for read in found for row in read.probe.rows]
    return Drawing(
        heading=f"{data_line([r.probe for r in found])} · bands: 10 to 90 % of maps",
        panels=tuple(panels),
        legend=arm_legend(arms, (read.probe.checkpoint.name for read in found), looks),
        columns=2,
        height=2.0,
        same_y=True,
    )


def _draw(
    axes: Axes,
    *,
    probes: Sequence[ReadProbe],
    key: tuple[str | None, str, str],
    looks: Looks,
) -> None:
    paradigm, axis, around = key
    own = [read for read in probes if read.probe.checkpoint.paradigm == paradigm]
    for read in own:
        for place, row in enumerate(read.probe.rows):
            wanted = "label" if row.arm == "target" else around
            if (row.where["axis"], row.where["around"]) != (axis, wanted):
                continue
            distances, mean, low, _, high = read.arrays[f"profile/{place}"]
            known = np.isfinite(mean)
            look = line_of(row.arm, read.probe.checkpoint.name, looks)
            if row.arm == "trained":
                band = {"color": look["color"], "alpha": 0.5 / (1 + len(own)), "linewidth": 0}
                axes.fill_between(distances[known], low[known], high[known], **band)
            (line,) = axes.plot(distances[known], mean[known], **look)
            say(line, f"{read.probe.checkpoint.name}, {row.arm}")
    axes.set(xlabel="distance (training σ)", ylabel="response", xlim=(0, 8), ylim=(-0.25, 1.05))
