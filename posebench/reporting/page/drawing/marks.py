"""What stands for paradigm, policy and status in every plot of the page, and the legends' marks.

A paradigm is a colour and a filled or open mark, so that no reader depends on colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from markupsafe import Markup

from posebench.reporting.page.contents import LegendEntry
from posebench.reporting.page.drawing.svg import Mark, element, line, mark
from posebench.results.store import StoredCell

PARADIGMS: Mapping[str, str] = MappingProxyType({"heatmap": "heatmap", "simcc": "SimCC"})
POLICY_MARKS: Mapping[str, Mark] = MappingProxyType(
    {"native": "circle", "resample": "square", "pool": "triangle", "interpolate": "diamond"}
)
OTHER = "other"


def paradigm_class(name: str | None) -> str:
    """Return the class of a paradigm's colour."""
    return name if name is not None and name in PARADIGMS else OTHER


def paradigm_name(name: str | None) -> str:
    """Return a paradigm as people write it."""
    return PARADIGMS.get(name or "", name or "unknown paradigm")


def paradigm_legend(cells: Iterable[StoredCell]) -> tuple[LegendEntry, ...]:
    """Return an entry for each paradigm of some cells."""
    found = {cell.result.checkpoint.paradigm for cell in cells}
    names = [name for name in PARADIGMS if name in found]
    names += sorted(name or "" for name in found if name not in PARADIGMS)
    return tuple(
        LegendEntry(
            glyph(line(0, 8, 28, 8, f"series {c}"), mark("circle", 14, 8, f"mark {c}")),
            paradigm_name(n),
        )
        for n in names
        for c in [paradigm_class(n)]
    )


def bar_legend() -> tuple[LegendEntry, ...]:
    """Return an entry for the bars of each paradigm."""
    return tuple(
        LegendEntry(
            glyph(element("rect", x=2, y=3, width=24, height=10, class_=f"bar {name}")), label
        )
        for name, label in PARADIGMS.items()
    )


def policy_legend(cells: Iterable[StoredCell]) -> tuple[LegendEntry, ...]:
    """Return an entry for each resize policy of some cells."""
    found = {cell.result.policy for cell in cells}
    return tuple(
        LegendEntry(glyph(mark(shape, 14, 8, f"mark {OTHER}")), f"{name} policy")
        for name, shape in POLICY_MARKS.items()
        if name in found
    )


def glyph(*parts: str) -> Markup:
    """Return a small drawing for a legend, hidden from screen readers, who have its label."""
    return element("svg", *parts, viewBox="0 0 28 16", class_="glyph", aria_hidden="true")


def error_bar(x: float, low: float, high: float, class_: str) -> Markup:
    """Return a vertical interval with caps."""
    bars = (line(x, low, x, high, class_), *(line(x - 3, y, x + 3, y, class_) for y in (low, high)))
    return Markup("").join(bars)
