"""Figures of what probes read, by their names in `posebench plot --kind`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from posebench.reporting.figures.drawing import Drawing
from posebench.reporting.figures.probes.decay import decay_drawing
from posebench.reporting.figures.probes.examples import examples_drawing
from posebench.reporting.figures.probes.matching import matching_drawing
from posebench.reporting.figures.probes.position_code import position_code_drawing
from posebench.reporting.figures.probes.similarity import similarity_drawing
from posebench.reporting.figures.style import Looks
from posebench.results.reading import ReadProbe


class ProbeDraw(Protocol):
    """Draws what probes read; without `looks`, checkpoints look as they come."""

    def __call__(self, probes: Sequence[ReadProbe], looks: Looks | None = None) -> Drawing | None:
        """Return the drawing, or None if no probe has what it needs."""


@dataclass(frozen=True)
class ProbeFigure:
    """A figure of probes; `draw` returns None if no probe has what the figure `needs`."""

    draw: ProbeDraw
    needs: str


PROBE_FIGURES: Mapping[str, ProbeFigure] = MappingProxyType(
    {
        "decay": ProbeFigure(decay_drawing, "of the probe decay"),
        "position-code": ProbeFigure(position_code_drawing, "of the probe position-code"),
        "similarity": ProbeFigure(similarity_drawing, "of the probe keypoint-vectors"),
        "matching": ProbeFigure(matching_drawing, "of the probe tokens"),
        "match-examples": ProbeFigure(examples_drawing, "of the probe tokens with examples"),
    }
)
