"""Matrices of cosines between keypoints' vectors and tokens. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.probes.lines import data_line, of_probe
from posebench.reporting.figures.style import BLUE, PAPER, VERMILION, Looks
from posebench.reporting.figures.svg import clean
from posebench.results.reading import ReadProbe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OF = {"vectors": "learned vectors", "tokens": "mean tokens"}
# Names of more keypoints cannot be read.
_MOST_NAMES = 26


def similarity_drawing(probes: Sequence[ReadProbe], looks: Looks | None = None) -> Drawing | None:
    """Draw the cosines of keypoints, a panel for each checkpoint's vectors and tokens.

    Colours are cosines, so that `looks` do not matter.
    """
    del looks
    found = of_probe(probes, "keypoint-vectors")
    panels = [
        Panel(
            f"{clean(read.probe.checkpoint.name)}, {_OF[of]}",
            f"Cosines between keypoints: {of} of {read.probe.checkpoint.name}",
            partial(_draw, read=read, of=of),
        )
        for of in _OF
        for read in found
        if f"cosine/trained/{of}" in read.arrays
    ]
    if not panels:
        return None
    return Drawing(
        heading=f"Cosine of each two keypoints, from -1 (vermilion) to 1 (blue) · "
        f"{data_line([read.probe for read in found])}",
        panels=tuple(panels),
        columns=3,
        height=2.1,
    )


def _draw(axes: Axes, *, read: ReadProbe, of: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("cosine", [VERMILION, PAPER, BLUE])
    cosine = read.arrays[f"cosine/trained/{of}"]
    names = [clean(str(name)).replace("_", " ") for name in read.arrays[f"names/{of}"]]
    image: Any = axes.imshow(cosine, cmap=colours, vmin=-1, vmax=1, interpolation="nearest")
    axes.grid(visible=False)
    if len(names) <= _MOST_NAMES:
        axes.set_yticks(range(len(names)), names, fontsize=4.5)
    axes.set_xticks([])
    axes.figure.colorbar(image, ax=axes, shrink=0.8, ticks=[-1, 0, 1])
