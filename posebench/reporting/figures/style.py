"""How every figure looks: sizes in inches, colours, marks, legend entries. No matplotlib here.

A paradigm is a colour and a full, open or half-filled mark, so that no reader depends on colour; a
mark's shape is the resize policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

# The widths of a page's text, as conferences set it in two columns, and of one column.
PAGE_WIDTH, COLUMN_WIDTH = 7.0, 3.45
PAPER, INK, SOFT, RULE, GRID = "#ffffff", "#1b1f24", "#59636e", "#b3bac2", "#e6e9ed"
SMALL = 6.5
# Okabe and Ito's colours, which colour-blind readers tell apart; vermilion is darkened so that
# text in it can be read on white.
BLUE, VERMILION, GREEN = "#0072b2", "#c24e00", "#00805d"
SERIES = (BLUE, VERMILION, GREEN, "#a8497f", "#7a6200", "#2a8ac0")
MARKER_SIZE, LINE_WIDTH = 4.2, 1.1
POLICY_MARKERS: Mapping[str, str] = MappingProxyType(
    {"native": "o", "resample": "s", "pool": "^", "interpolate": "D"}
)
DASHED = (0, (4, 1.6))
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


Fill = Literal["full", "open", "half"]


@dataclass(frozen=True)
class Paradigm:
    """A paradigm as people write it, and how it is drawn.

    `dark` is its colour on dark pages, `on_photo` that of its poses on photographs.
    """

    name: str
    colour: str
    dark: str
    on_photo: str
    fill: Fill


PARADIGMS: Mapping[str, Paradigm] = MappingProxyType(
    {
        "heatmap": Paradigm("heatmap", BLUE, "#56b4e9", "#4cc3ff", "full"),
        "simcc": Paradigm("SimCC", VERMILION, "#ff9a57", "#ffa24d", "open"),
        "regression": Paradigm("regression", GREEN, "#3fc7a0", "#5ef2c0", "half"),
    }
)


def paradigm_of(name: str | None) -> Paradigm:
    """Return how a paradigm is drawn; an unknown one is grey."""
    return PARADIGMS.get(name or "", Paradigm(name or "unknown paradigm", SOFT, SOFT, SOFT, "full"))


def mark_look(paradigm: str | None, marker: str = "o") -> dict[str, Any]:
    """Return the properties of a paradigm's marks, without a line."""
    look = paradigm_of(paradigm)
    return {
        "color": look.colour,
        "marker": marker,
        "markersize": MARKER_SIZE,
        "markerfacecolor": PAPER if look.fill == "open" else look.colour,
        "markeredgewidth": 1.0,
        "linestyle": "none",
        **({"markerfacecoloralt": PAPER, "fillstyle": "bottom"} if look.fill == "half" else {}),
    }


def policy_line(policy: str | None) -> Any:
    """Return the style of a policy's lines."""
    return "-" if policy == "native" else DASHED


def bar_look(paradigm: str | None) -> dict[str, Any]:
    """Return the properties of a paradigm's bars: full, an outline, or grey inside of one."""
    look = paradigm_of(paradigm)
    face = {"full": look.colour, "open": PAPER, "half": GRID}[look.fill]
    return {"facecolor": face, "edgecolor": look.colour, "linewidth": 0.9}


def paradigm_legend(names: Iterable[str | None], line: bool = True) -> tuple[LegendEntry, ...]:
    """Return an entry for each paradigm there is, the known ones first."""
    found = set(names)
    ordered = [name for name in PARADIGMS if name in found]
    ordered += sorted(name or "" for name in found if name not in PARADIGMS)
    style = {"linestyle": "-", "linewidth": LINE_WIDTH} if line else {}
    return tuple(
        LegendEntry(paradigm_of(name).name, {**mark_look(name), **style}) for name in ordered
    )


def bar_legend(names: Iterable[str | None]) -> tuple[LegendEntry, ...]:
    """Return an entry for the bars of each known paradigm there is."""
    found = set(names)
    return tuple(
        LegendEntry(paradigm.name, bar_look(name), is_bar=True)
        for name, paradigm in PARADIGMS.items()
        if name in found
    )


def policy_legend(policies: Iterable[str | None]) -> tuple[LegendEntry, ...]:
    """Return an entry for each resize policy there is."""
    found = set(policies)
    return tuple(
        LegendEntry(
            f"{name} policy",
            {**mark_look(None, marker), "linestyle": policy_line(name), "linewidth": LINE_WIDTH},
        )
        for name, marker in POLICY_MARKERS.items()
        if name in found
    )
