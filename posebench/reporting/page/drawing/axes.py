"""The frame of a plot: scales from data to the drawing's units, ticks, grid and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from posebench.reporting.page.drawing.svg import line, text

WIDTH, HEIGHT = 310.0, 245.0
LEFT, RIGHT, TOP, BOTTOM = 42.0, 300.0, 12.0, 200.0
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """A map from data, `low` to `high`, to the drawing, `start` to `end`; over logs if `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value lies; beyond the data's ends at the drawing's."""
        low, high, value = (
            (math.log(v) if self.log else v)
            for v in (self.low, self.high, min(max(value, self.low), self.high))
        )
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True)
class Axis:
    """One axis: its scale, its name, and where it has ticks with which labels."""

    scale: Scale
    label: str
    ticks: Sequence[tuple[float, str]]


def linear_axis(label: str, low: float, high: float, start: float, end: float) -> Axis:
    """Return an axis with round ticks, which ends at one."""
    step = _round_step((high - low) / 5 or 1.0)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    count = round((high - low) / step)
    ticks = [(low + i * step, _number(low + i * step)) for i in range(count + 1)]
    return Axis(Scale(low, high, start, end), label, ticks)


def log_axis(label: str, values: Sequence[float], start: float, end: float) -> Axis:
    """Return an axis over logs of values above 0, with some room at both ends."""
    low, high = min(values) / 1.25, max(values) * 1.25
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 2, 3, 5, 7)):
        ticks = [d * 10.0**p for p in powers for d in digits if low <= d * 10.0**p <= high]
        if len(ticks) >= 3:
            break
    return Axis(Scale(low, high, start, end, log=True), label, [(t, _number(t)) for t in ticks])


def draw_axes(x: Axis, y: Axis) -> Markup:
    """Return grid, ticks and labels."""
    parts = []
    for value, label in y.ticks:
        at = y.scale(value)
        parts.append(line(LEFT, at, RIGHT, at, "grid"))
        parts.append(text(LEFT - 6, at + 3.5, label, text_anchor="end"))
    for value, label in x.ticks:
        at = x.scale(value)
        parts.append(line(at, BOTTOM, at, BOTTOM + 4, "axis"))
        parts.append(text(at, BOTTOM + 17, label, text_anchor="middle"))
    parts.append(line(LEFT, BOTTOM, RIGHT, BOTTOM, "axis"))
    parts.append(text((LEFT + RIGHT) / 2, BOTTOM + 37, x.label, text_anchor="middle"))
    middle = (TOP + BOTTOM) / 2
    parts.append(
        text(11, middle, y.label, text_anchor="middle", transform=f"rotate(-90 11 {middle:g})")
    )
    return Markup("").join(parts)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * s for s in _STEPS if power * s >= step * (1 - 1e-9))


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) > 1e-12 else "0"
