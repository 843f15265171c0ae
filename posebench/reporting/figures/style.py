"""What all figures share: colours, style, and the way to a file. matplotlib is loaded on use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.errors import UsageError
from posebench.files.writing import naming_what_cannot_be_written, put_when_written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Okabe and Ito's blue and vermilion, which colour-blind readers tell apart.
COLOURS = {"heatmap": "#0072B2", "simcc": "#D55E00"}
GREY = "#555555"
_STYLE: Any = {
    # Text stays text, so that it can be searched, and the same data gives the same bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "posebench",
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.grid": True,
    "grid.color": "#E3E3E3",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_DPI = 160
_MARGIN = 1.6


@contextmanager
def figure_file(out: Path, inches: tuple[float, float]) -> Iterator[Figure]:
    """Yield an empty figure; write it to `out` by way of a temporary name.

    The user's matplotlib settings do not matter. Raises `UsageError` for a suffix other than
    .svg and .png, and where matplotlib is missing.
    """
    kind = out.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise UsageError(f"{out} is neither .svg nor .png.", hint="End its name in one of them.")
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            "Plots need matplotlib.", hint='Install it with: pip install "posebench-pose[plots]"'
        ) from None
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        undated = {"Date": None} if kind == "svg" else {}
        with naming_what_cannot_be_written(out), put_when_written(out) as temporary:
            figure.savefig(temporary, format=kind, dpi=_DPI, metadata=undated)


def legend_line(colour: str, label: str, **style: Any) -> Line2D:
    """Return an entry for a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, label=label, **style)


def paradigms_in(names: Iterable[str | None]) -> list[str]:
    """Return the paradigms among names, in the order of the legend."""
    present = set(names)
    return [name for name in COLOURS if name in present]


def log_axis(axes: Axes, values: Sequence[float]) -> None:
    """Make x logarithmic, wide enough for `values`, with ticks at 1, 2, 5, 10 as people write."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    if values:
        axes.set_xlim(min(values) / _MARGIN, max(values) * _MARGIN)
