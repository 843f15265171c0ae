"""The gallery's pictures as SVG: escaped markup whose colours are classes of the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """Return an element; children that are no `Markup` are escaped, as are attributes.

    A final underscore of an attribute's name is dropped, others become hyphens.
    """
    pairs = Markup("").join(
        Markup(' {}="{}"').format(
            name if name == "viewBox" else name.rstrip("_").replace("_", "-"), _text(value)
        )
        for name, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), pairs, inner)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[Sequence[float] | NDArray[np.float64]], class_: str) -> Markup:
    """Return an open polyline through points."""
    return element(
        "polyline", points=" ".join(f"{_text(x)},{_text(y)}" for x, y in points), class_=class_
    )


def picture(width: float, height: float, name: str, *parts: str, class_: str = "chart") -> Markup:
    """Return a drawing of a width and height in its own units; `name` is read out for it."""
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        role="img",
        aria_label=name,
        class_=class_,
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
