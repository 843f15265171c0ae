"""What figures of probes share: the lines of arms, and what a figure was read on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from posebench.reporting.figures.style import (
    DASHED,
    INK,
    SOFT,
    LegendEntry,
    Looks,
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


def probe_looks(probes: Sequence[ReadProbe]) -> Looks:
    """Return how the checkpoints of probes look, in the order in which they come."""
    facts = [read.probe.checkpoint for read in probes]
    return Looks({one.name: one.paradigm for one in facts})


def line_of(arm: str, name: str, looks: Looks) -> dict[str, Any]:
    """Return the properties of an arm's line: that of the checkpoint; the controls are grey."""
    if arm == "trained":
        return looks.line(name)
    return _control(arm)


def _control(arm: str) -> dict[str, Any]:
    dots: Any = (0, (1, 1.4)) if arm == "target" else DASHED
    colour = INK if arm == "target" else SOFT
    return {"color": colour, "linestyle": dots, "linewidth": 0.9}


def arm_legend(arms: Iterable[str], names: Iterable[str], looks: Looks) -> tuple[LegendEntry, ...]:
    """Return an entry for each trained checkpoint and each control."""
    trained = [LegendEntry(e.label, _without_mark(e.look)) for e in looks.legend(names)]
    others = [name for name in ARMS if name in set(arms)]
    return (*trained, *(LegendEntry(ARMS[name], _control(name)) for name in others))


def _without_mark(look: Mapping[str, Any]) -> dict[str, Any]:
    return {**look, "marker": "None"}


def data_line(probes: Sequence[StoredProbe]) -> str:
    """Say in one line what probes read."""
    texts = (f"{p.data.dataset}: {p.data.images} images, {p.data.people} people" for p in probes)
    return clean(" / ".join(dict.fromkeys(texts)))
