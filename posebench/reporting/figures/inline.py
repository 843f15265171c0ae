"""Panels and legend marks as SVG inside of an HTML page, in the page's colours and fonts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from posebench.reporting.figures.drawing import (
    Drawing,
    Panel,
    empty_figure,
    house_style,
    legend_artist,
    settle,
)
from posebench.reporting.figures.style import LegendEntry, Looks
from posebench.reporting.figures.svg import page_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _LEAST_HEIGHT = 3.4, 2.45
_GLYPH = (0.38, 0.2)
# Half the width of a mark, in the units of its drawing.
_MARK = 10.0


def drawing_svgs(drawing: Drawing, prefix: str) -> list[Markup]:
    """Return each panel as an `<svg>` without its title; ids in it begin with `prefix`."""
    inches = (_WIDTH, max(drawing.height, _LEAST_HEIGHT))
    return [
        panel_svg(panel, inches, f"{prefix}-{place}")
        for place, panel in enumerate(drawing.panels, 1)
    ]


def panel_svg(panel: Panel, inches: tuple[float, float], prefix: str) -> Markup:
    """Return one panel as an `<svg>` of a width and height."""
    with house_style():
        figure = empty_figure(*inches)
        panel.draw(figure.subplots())
        settle(figure)
        return page_svg(_source(figure), panel.spoken, prefix)


def glyph_svg(entry: LegendEntry, prefix: str) -> Markup:
    """Return the mark of a legend's entry, hidden from screen readers, which read its label."""
    with house_style():
        figure = empty_figure(*_GLYPH)
        axes = figure.add_axes((0, 0, 1, 1), frameon=False, xlim=(0, 1), ylim=(0, 1))
        axes.set_axis_off()
        artist = legend_artist(entry)
        if entry.is_bar:
            artist.set(xy=(0.1, 0.2), width=0.8, height=0.6, transform=axes.transAxes)
        else:
            artist.set(data=([0.02, 0.5, 0.98], [0.5] * 3), markevery=[1])
        axes.add_artist(artist)
        figure.set_layout_engine("none")
        return page_svg(_source(figure), None, prefix)


def mark_svg(looks: Looks, name: str) -> Markup:
    """Return a checkpoint's mark as a small `<svg>` without ids, hidden from screen readers."""
    from matplotlib.markers import MarkerStyle

    look, number = looks.mark(name), looks.colour_number(name)
    style = MarkerStyle(look["marker"])
    outline = np.asarray(style.get_path().transformed(style.get_transform()).to_polygons()[0])
    corners = " ".join(f"{x * _MARK:.1f},{-y * _MARK:.1f}" for x, y in outline)
    colour = "var(--other)" if number is None else f"var(--series-{number})"
    face = {"full": colour, "open": "none", "half": "var(--grid)"}[looks.fill(name)]
    return Markup(
        '<svg class="mark" viewBox="-7 -7 14 14" aria-hidden="true"><polygon points="{}" '
        'fill="{}" stroke="{}" stroke-width="1.6"/></svg>'
    ).format(corners, face, colour)


def _source(figure: Figure) -> str:
    figure.patch.set_visible(False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
