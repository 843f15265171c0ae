"""How every figure looks: sizes in inches, colours, marks, legend entries. No matplotlib here.

A checkpoint is a colour and a mark's shape, its paradigm a line style and a full, open or
half-filled mark, so that no reader depends on colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

# The widths of a page's text, as conferences set it in two columns, and of one column.
PAGE_WIDTH, COLUMN_WIDTH = 7.0, 3.45
PAPER, INK, SOFT, RULE, GRID = "#ffffff", "#1b1f24", "#59636e", "#b3bac2", "#e6e9ed"
# Behind what speaks for a claim.
SHADE = "#dcefe3"
SMALL = 6.5
# Okabe and Ito's colours, which colour-blind readers tell apart; vermilion is darkened so that
# text in it can be read on white.
BLUE, VERMILION, GREEN = "#0072b2", "#c24e00", "#00805d"
MARKER_SIZE, LINE_WIDTH = 4.2, 1.1
POLICIES = ("native", "resample", "pool", "interpolate")
DASHED, DOTTED = (0, (4, 1.6)), (0, (1, 1.3))
INTERVAL_CAP = "_"
SETTINGS: Any = MappingProxyType(
    {
        # Text stays text, so that it can be searched and edited, and no name is read as math.
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        "text.parse_math": False,
        # The same data gives the same bytes.
        "svg.hashsalt": "posebench",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 7.5,
        "axes.titlesize": 7.5,
        "axes.labelsize": 7.5,
        "xtick.labelsize": 7.0,
        "ytick.labelsize": 7.0,
        "legend.fontsize": 7.0,
        "text.color": INK,
        "axes.labelcolor": SOFT,
        "axes.edgecolor": SOFT,
        "axes.facecolor": "none",
        "axes.linewidth": 0.7,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "xtick.major.width": 0.7,
        "ytick.major.size": 0.0,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.handlelength": 2.2,
    }
)


@dataclass(frozen=True)
class LegendEntry:
    """What a mark, line or bar means; `look` are a line's properties, `is_bar` makes it a bar."""

    label: str
    look: Mapping[str, Any] = field(default_factory=dict)
    is_bar: bool = False


@dataclass(frozen=True)
class Colour:
    """A colour in which text can be read: on white, on dark pages, on photographs."""

    light: str
    dark: str
    on_photo: str


COLOURS = (
    Colour(BLUE, "#56b4e9", "#4cc3ff"),
    Colour(VERMILION, "#ff9a57", "#ffa24d"),
    Colour(GREEN, "#3fc7a0", "#5ef2c0"),
    Colour("#a8497f", "#e893c3", "#ff9ed2"),
    Colour("#7a6200", "#dcbf58", "#ffe14d"),
    Colour("#6a51c9", "#ab9bff", "#c2b3ff"),
    Colour("#b3202c", "#ff8f8f", "#ff8080"),
    Colour("#4d7c0f", "#a3d65c", "#b4f05a"),
)
SERIES = tuple(colour.light for colour in COLOURS)
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "*")

Fill = Literal["full", "open", "half"]


@dataclass(frozen=True)
class Paradigm:
    """A paradigm as people write it, and how it is drawn."""

    name: str
    colour: Colour
    fill: Fill
    line: Any = "-"


PARADIGMS: Mapping[str, Paradigm] = MappingProxyType(
    {
        "heatmap": Paradigm("heatmap", COLOURS[0], "full"),
        "simcc": Paradigm("SimCC", COLOURS[1], "open", DASHED),
        "regression": Paradigm("regression", COLOURS[2], "half", DOTTED),
    }
)
_UNKNOWN = Colour(SOFT, SOFT, "#ffe14d")


def paradigm_of(name: str | None) -> Paradigm:
    """Return how a paradigm is drawn; an unknown one is grey."""
    return PARADIGMS.get(name or "", Paradigm(name or "unknown paradigm", _UNKNOWN, "full"))


@dataclass(frozen=True)
class Looks:
    """How checkpoints look wherever they are drawn together, from their paradigms by name.

    The place of a name decides its colour and shape; 64 checkpoints differ, later ones look like
    an earlier one. A name that is not among them is grey.
    """

    paradigms: Mapping[str, str | None]

    def colour(self, name: str) -> Colour:
        """Return a checkpoint's colour."""
        place = self._place(name)
        return _UNKNOWN if place is None else COLOURS[place % len(COLOURS)]

    def colour_number(self, name: str) -> int | None:
        """Return the position of a checkpoint's colour among `COLOURS`, from 1 on."""
        place = self._place(name)
        return None if place is None else place % len(COLOURS) + 1

    def mark(self, name: str) -> dict[str, Any]:
        """Return the properties of a checkpoint's marks, without a line."""
        place = self._place(name) or 0
        # Names of one colour have different shapes, and neighbours differ in both.
        shape = SHAPES[(place + place // len(COLOURS)) % len(SHAPES)]
        return _mark(self.colour(name).light, self.fill(name), shape)

    def fill(self, name: str) -> Fill:
        """Return how a checkpoint's marks are filled, which is by its paradigm."""
        return paradigm_of(self.paradigms.get(name)).fill

    def line(self, name: str) -> dict[str, Any]:
        """Return the properties of a checkpoint's lines, without marks."""
        style = paradigm_of(self.paradigms.get(name)).line
        return {
            "color": self.colour(name).light,
            "linestyle": style,
            "linewidth": LINE_WIDTH,
        }

    def bar(self, name: str) -> dict[str, Any]:
        """Return the properties of a checkpoint's bars: full, an outline, or grey inside of one."""
        colour = self.colour(name).light
        face = {"full": colour, "open": PAPER, "half": GRID}[self.fill(name)]
        return {"facecolor": face, "edgecolor": colour, "linewidth": 0.9}

    def legend(self, names: Iterable[str], *, line: bool = True) -> tuple[LegendEntry, ...]:
        """Return an entry for each checkpoint, with its paradigm if there are several."""
        return tuple(
            LegendEntry(label, {**self.mark(name), **(self.line(name) if line else {})})
            for name, label in self._labels(names).items()
        )

    def bar_legend(self, names: Iterable[str]) -> tuple[LegendEntry, ...]:
        """Return an entry for the bars of each checkpoint."""
        labels = self._labels(names)
        return tuple(LegendEntry(labels[name], self.bar(name), is_bar=True) for name in labels)

    def _labels(self, names: Iterable[str]) -> dict[str, str]:
        asked = set(names)
        found = [name for name in self.paradigms if name in asked]
        several = len({self.paradigms[name] for name in found}) > 1
        return {
            name: f"{name} · {paradigm_of(self.paradigms[name]).name}" if several else name
            for name in found
        }

    def _place(self, name: str) -> int | None:
        return next((i for i, known in enumerate(self.paradigms) if known == name), None)


def _mark(colour: str, fill: Fill, shape: str) -> dict[str, Any]:
    return {
        "color": colour,
        "marker": shape,
        "markersize": MARKER_SIZE + (shape in "PX*"),
        "markerfacecolor": PAPER if fill == "open" else colour,
        "markeredgewidth": 1.0,
        "linestyle": "none",
        **({"markerfacecoloralt": PAPER, "fillstyle": "bottom"} if fill == "half" else {}),
    }


def mark_look(paradigm: str | None, marker: str = "o") -> dict[str, Any]:
    """Return the properties of a paradigm's marks, without a line."""
    look = paradigm_of(paradigm)
    return _mark(look.colour.light, look.fill, marker)


def line_legend(names: Iterable[str | None]) -> tuple[LegendEntry, ...]:
    """Return an entry for the line style of each paradigm there is, the known ones first."""
    return tuple(
        LegendEntry(
            paradigm_of(name).name,
            {"color": SOFT, "linestyle": paradigm_of(name).line, "linewidth": LINE_WIDTH},
        )
        for name in _ordered(names)
    )


def paradigm_legend(names: Iterable[str | None], line: bool = True) -> tuple[LegendEntry, ...]:
    """Return an entry for each paradigm there is, the known ones first."""
    style = {"linestyle": "-", "linewidth": LINE_WIDTH} if line else {}
    return tuple(
        LegendEntry(paradigm_of(name).name, {**mark_look(name), **style})
        for name in _ordered(names)
    )


def _ordered(names: Iterable[str | None]) -> list[str]:
    found = set(names)
    ordered = [name for name in PARADIGMS if name in found]
    return ordered + sorted(name or "" for name in found if name not in PARADIGMS)
