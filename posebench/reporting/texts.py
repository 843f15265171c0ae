"""Numbers and names as people read them."""

from __future__ import annotations

import re
from string import ascii_uppercase

from posebench.results.cell import CellResult
from posebench.results.numbers import main_metric, number_named
from posebench.scoring.units import POINTS, Unit

NO_VALUE = "–"


def points(value: float | None) -> str:
    """Show a fraction 0-1 in points with one decimal."""
    return number_text(value)


def signed_points(value: float | None) -> str:
    """Show a difference of fractions in points, with its sign."""
    return NO_VALUE if value is None else POINTS.signed(value)


def number_text(value: float | None, unit: Unit = POINTS) -> str:
    """Show a number in its unit."""
    return NO_VALUE if value is None else unit.text(value)


def doubted(text: str, doubt: str | None) -> str:
    """Add to a number why it is not stable, if it is not."""
    return text if doubt is None else f"{text} (unstable, {doubt})"


def main_text(result: CellResult) -> str:
    """Show a result's main number, AP in points."""
    name = main_metric([result])
    return number_text((result.metrics or {}).get(name), number_named(name).unit)


def estimate_text(
    value: float | None,
    bounds: tuple[float, float] | None,
    *,
    signed: bool = False,
    unit: Unit = POINTS,
) -> str:
    """Show a number in its unit, with its interval in brackets if it has one."""
    if value is None:
        return NO_VALUE
    show = unit.signed if signed else unit.text
    return show(value) if bounds is None else f"{show(value)} [{', '.join(map(show, bounds))}]"


def of_metric(metric: str) -> str:
    """Return what stands behind an effect: the metric's name, or the word of its unit."""
    unit = number_named(metric).unit
    return metric if unit == POINTS else unit.word


def p_text(value: float | None) -> str:
    """Show a p-value."""
    return NO_VALUE if value is None else f"{value:.3f}" if value >= 0.001 else "<0.001"


def file_labels(count: int) -> list[str]:
    """Return short names for the columns of several files: `A`, `B` and so on, or `#1`, `#2`."""
    few = count <= len(ascii_uppercase)
    return list(ascii_uppercase[:count]) if few else [f"#{i + 1}" for i in range(count)]


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts texts by the numbers in them: `64x48` before `128x96`."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple(
        (not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts
    )
