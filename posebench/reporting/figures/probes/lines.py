"""What figures of probes share: the lines of arms, and what a figure was read on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from posebench.reporting.figures.style import (
    DASHED,
    INK,
    LINE_WIDTH,
    SOFT,
    LegendEntry,
    paradigm_of,
)
from posebench.reporting.figures.svg import clean
from posebench.results.probes import StoredProbe
from posebench.results.reading import ReadProbe

ARMS = {
    "target": "training targets",
    "untrained": "untrained twin",
    "pixels": "patches of pixels",
    "place": "the support's own place",
}


def of_probe(probes: Sequence[ReadProbe], name: str) -> list[ReadProbe]:
    """Return the readings of one probe that have numbers."""
    return [read for read in probes if read.probe.probe == name and read.probe.rows]


def line_of(arm: str, paradigm: str | None) -> dict[str, Any]:
    """Return the properties of an arm's line: colour is the paradigm, the controls are grey."""
    if arm == "trained":
        return {"color": paradigm_of(paradigm).colour, "linewidth": LINE_WIDTH}
    dots: Any = (0, (1, 1.4)) if arm == "target" else DASHED
    colour = INK if arm == "target" else SOFT
    return {"color": colour, "linestyle": dots, "linewidth": 0.9}


def line_legend(arms: Iterable[str], paradigms: Iterable[str | None]) -> tuple[LegendEntry, ...]:
    """Return an entry for each trained paradigm and each control."""
    trained = [
        LegendEntry(f"{paradigm_of(name).name}, trained", line_of("trained", name))
        for name in dict.fromkeys(paradigms)
    ]
    others = [name for name in ARMS if name in set(arms)]
    return (*trained, *(LegendEntry(ARMS[name], line_of(name, None)) for name in others))


def data_line(probes: Sequence[StoredProbe]) -> str:
    """Say in one line what probes read."""
    texts = (f"{p.data.dataset}: {p.data.images} images, {p.data.people} people" for p in probes)
    return clean(" / ".join(dict.fromkeys(texts)))
