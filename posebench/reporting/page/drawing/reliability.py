"""Reliability: how much OKS a score is worth, by paradigm."""

from __future__ import annotations

from markupsafe import Markup

from posebench.reporting.page.drawing.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    draw_axes,
    linear_axis,
)
from posebench.reporting.page.drawing.marks import paradigm_class
from posebench.reporting.page.drawing.svg import line, mark, path, picture
from posebench.scoring.diagnosis.confidence import Calibration


def draw_reliability(name: str, calibrations: dict[str, Calibration]) -> Markup:
    """Return mean OKS against mean score by bin, for each paradigm; `name` is read out."""
    x = linear_axis("mean score of a bin", 0.0, 1.0, LEFT, RIGHT)
    y = linear_axis("mean OKS", 0.0, 1.0, BOTTOM, TOP)
    parts = [draw_axes(x, y), line(x.scale(0), y.scale(0), x.scale(1), y.scale(1), "home")]
    for paradigm, calibration in calibrations.items():
        look = paradigm_class(paradigm)
        spots = [
            (x.scale(found.mean_score), y.scale(found.mean_oks), found)
            for found in calibration.bins
            if found.mean_score is not None and found.mean_oks is not None
        ]
        parts.append(path([(u, v) for u, v, _ in spots], f"series {look}"))
        for u, v, found in spots:
            said = f"scores {found.low:g} to {found.high:g}: {found.count} detections"
            parts.append(mark("circle", u, v, f"mark {look}", said))
    return picture(WIDTH, HEIGHT, name, *parts)
