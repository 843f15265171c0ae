"""A drawing, its panels, and the way from there to a file. matplotlib is loaded on use."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.errors import UsageError
from posebench.files.writing import naming_what_cannot_be_written, put_when_written
from posebench.reporting.figures.names import arrange_names
from posebench.reporting.figures.style import COLUMN_WIDTH, PAGE_WIDTH, SETTINGS, SOFT, LegendEntry
from posebench.reporting.figures.svg import clean, told_svg

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 300
# Nothing in a file says when it was made, so that the same results give the same bytes.
_UNDATED: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
    ".png": {},
}
_CHARACTER, _PARTS = 0.062, " · "
_LINE, _ENTRY, _ENTRY_CHARACTER = 0.15, 0.45, 0.055


@dataclass(frozen=True)
class Panel:
    """One plot: its title, what is read out for it, and what draws it on empty axes."""

    title: str
    spoken: str
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Drawing:
    """A figure: panels `height` inches high, up to `columns` in a row, and what marks mean.

    `heading` says what all panels share, `note` what may move their numbers; `same_y` says that
    the panels have one y axis in common.
    """

    heading: str
    panels: tuple[Panel, ...]
    legend: tuple[LegendEntry, ...] = ()
    columns: int = 2
    height: float = 2.5
    same_y: bool = False
    note: str = ""


def check_suffix(out: Path) -> None:
    """Check that a drawing can be written to a file of this name.

    Raises `UsageError` if its suffix is not .svg, .pdf or .png.
    """
    if out.suffix.lower() not in _UNDATED:
        raise UsageError(
            f"{out} is neither .svg nor .pdf nor .png.", hint="End its name in one of them."
        )


def write_drawing(drawing: Drawing, out: Path) -> None:
    """Write a drawing to a file, in the format of its suffix, by way of a temporary name.

    The user's matplotlib settings do not matter. Raises the error of `check_suffix`.
    """
    check_suffix(out)
    suffix = out.suffix.lower()
    naming = naming_what_cannot_be_written(out)
    with composed(drawing) as figure, naming, put_when_written(out) as temporary:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], dpi=_DPI, metadata=_UNDATED[suffix])
        content = buffer.getvalue()
        if suffix == ".svg":
            said = (*(panel.spoken for panel in drawing.panels), drawing.note)
            spoken = "; ".join(filter(None, said))
            content = told_svg(content.decode("utf-8"), spoken).encode("utf-8")
        temporary.write_bytes(content)


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in posebench's own style within the block."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # If the font lacks a name's script, a bitmap shows boxes and an SVG keeps the text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


@contextmanager
def composed(drawing: Drawing) -> Iterator[Figure]:
    """Yield the drawing as a matplotlib figure, laid out, within posebench's style."""
    rows = -(-len(drawing.panels) // drawing.columns)
    columns = -(-len(drawing.panels) // rows)
    width = PAGE_WIDTH if columns > 1 else COLUMN_WIDTH
    titles = [wrapped(panel.title, width / columns) for panel in drawing.panels]
    heading = wrapped(_PARTS.join(filter(None, (drawing.heading, drawing.note))), width)
    entries = _entries_in_a_row(drawing.legend, width)
    legend_rows = -(-len(drawing.legend) // entries)
    lines = rows * max(title.count("\n") + 1 for title in titles)
    lines += heading.count("\n") + 1 + legend_rows
    with house_style():
        figure = empty_figure(width, rows * drawing.height + lines * _LINE)
        grid = figure.subplots(rows, columns, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(drawing.panels):
                axes.set_visible(False)
                continue
            drawing.panels[place].draw(axes)
            axes.set_title(titles[place])
            if drawing.same_y and place % columns:
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)
        figure.suptitle(heading, fontsize=SETTINGS["font.size"], color=SOFT)
        if drawing.legend:
            _add_legend(figure, drawing.legend, entries)
        settle(figure)
        yield figure


def empty_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def settle(figure: Figure) -> None:
    """Lay a figure out for good, and place the names within it."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    arrange_names(figure)


def legend_artist(entry: LegendEntry) -> Artist:
    """Return the artist that stands beside an entry's label."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    if entry.is_bar:
        return Rectangle((0, 0), 1, 1, **entry.look)
    return Line2D([], [], **entry.look)


def wrapped(text: str, inches: float) -> str:
    """Break a text into lines of that width, between its parts (` · `) if possible."""
    most = max(12, int(inches / _CHARACTER))
    lines: list[str] = []
    for part in text.split(_PARTS):
        if lines and len(lines[-1]) + len(_PARTS) + len(part) <= most:
            lines[-1] += _PARTS + part
        else:
            lines += textwrap.wrap(part, most)
    return "\n".join(lines)


def _entries_in_a_row(legend: Sequence[LegendEntry], width: float) -> int:
    longest = max((len(entry.label) for entry in legend), default=0)
    most = max(1, int(width / (_ENTRY + _ENTRY_CHARACTER * longest)))
    return min(most, max(1, len(legend)))


def _add_legend(figure: Figure, entries: Sequence[LegendEntry], columns: int) -> None:
    # matplotlib leaves out labels that begin with an underscore, as names may: they come later.
    legend = figure.legend(
        handles=[legend_artist(entry) for entry in entries],
        labels=["x"] * len(entries),
        loc="outside lower center",
        ncols=columns,
    )
    for text, entry in zip(legend.get_texts(), entries, strict=True):
        text.set_text(clean(entry.label))
