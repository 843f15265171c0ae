"""Figures: each is one function from results to a drawing, for files and for the page alike.

`RUN_FIGURES` has the figures of a run by their names in `posebench plot --kind`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from posebench.reporting.figures.cost import pareto_drawing, scaling_drawing
from posebench.reporting.figures.drawing import Drawing
from posebench.reporting.figures.keypoints import keypoints_drawing
from posebench.reporting.figures.lab.robustness import robustness_drawing
from posebench.reporting.figures.lab.transforms import bits_drawing, sparsity_drawing
from posebench.reporting.figures.resolution import resolution_drawing
from posebench.reporting.figures.style import Looks
from posebench.reporting.figures.values import Measure
from posebench.results.reading import ReadCell


class RunDraw(Protocol):
    """Draws a score of cells; without `looks`, checkpoints look as they come."""

    def __call__(
        self, cells: Sequence[ReadCell], looks: Looks | None = None, measure: Measure | None = None
    ) -> Drawing | None:
        """Return the drawing, or None if no cell has what it needs."""


@dataclass(frozen=True)
class RunFigure:
    """A figure of a run; `draw` returns None if no cell has what the figure `needs`."""

    draw: RunDraw
    needs: str


def _keypoints(
    cells: Sequence[ReadCell], looks: Looks | None = None, measure: Measure | None = None
) -> Drawing | None:
    """Draw PCK@0.1 of each keypoint, whatever the score."""
    del measure
    return keypoints_drawing(cells, looks)


RUN_FIGURES: Mapping[str, RunFigure] = MappingProxyType(
    {
        "resolution": RunFigure(resolution_drawing, "that has an input size"),
        "scaling": RunFigure(scaling_drawing, "with AP at its trained size"),
        "pareto": RunFigure(pareto_drawing, "with AP and a cost"),
        "keypoints": RunFigure(
            _keypoints, "with its keypoints' numbers (posebench run keeps them)"
        ),
        "bits": RunFigure(bits_drawing, "with AP of a quantised network (transforms: w4)"),
        "sparsity": RunFigure(
            sparsity_drawing, "with AP of a pruned network (transforms: prune-50)"
        ),
        "robustness": RunFigure(
            robustness_drawing, "with AP on corrupted images (corruptions: blur-3)"
        ),
    }
)
