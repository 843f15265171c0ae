"""Figures of what probes read, by their names in `posebench plot --kind`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from posebench.reporting.figures.drawing import Drawing
from posebench.reporting.figures.probes.decay import decay_drawing
from posebench.reporting.figures.probes.examples import examples_drawing
from posebench.reporting.figures.probes.matching import matching_drawing
from posebench.reporting.figures.probes.position_code import position_code_drawing
from posebench.reporting.figures.probes.similarity import similarity_drawing
from posebench.results.reading import ReadProbe


@dataclass(frozen=True)
class ProbeFigure:
    """A figure of probes; `draw` returns None if no probe has what the figure `needs`."""

    draw: Callable[[Sequence[ReadProbe]], Drawing | None]
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
