"""Examples of matches: a support's crop beside a person's, with what was found. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.probes.lines import data_line, of_probe, probe_looks
from posebench.reporting.figures.style import PAPER, SOFT, LegendEntry, Looks
from posebench.reporting.figures.svg import clean, say
from posebench.results.reading import ReadProbe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 6
_PIXELS = "pixels"
_WANTED: dict[str, Any] = {
    "marker": "o",
    "markersize": 7,
    "markerfacecolor": "none",
    "markeredgecolor": PAPER,
    "markeredgewidth": 1.4,
    "linestyle": "none",
}


def examples_drawing(probes: Sequence[ReadProbe], looks: Looks | None = None) -> Drawing | None:
    """Draw examples of one-shot matches of the last checkpoint of each paradigm.

    Without `looks`, checkpoints look as they come.
    """
    looks = looks or probe_looks(probes)
    found = of_probe(probes, "tokens")
    last = {read.probe.checkpoint.paradigm: read for read in found}
    panels = [
        Panel(
            f"{clean(read.probe.checkpoint.name)}: {_name(read, number)}",
            f"Match of {_name(read, number)} by {read.probe.checkpoint.name}",
            partial(
                _draw,
                read=read,
                number=number,
                colour=looks.colour(read.probe.checkpoint.name).light,
            ),
        )
        for number in range(_count(found))
        for read in last.values()
        if f"example/{number}/person" in read.arrays
    ]
    if not panels:
        return None
    trained = [
        LegendEntry(f"found by tokens of {clean(name)}", _found_look(looks.colour(name).light))
        for name in dict.fromkeys(read.probe.checkpoint.name for read in last.values())
    ]
    return Drawing(
        heading="Left the example with its point, right the person in whom it is sought · "
        f"{data_line([read.probe for read in found])}",
        panels=tuple(panels),
        legend=(
            LegendEntry("wanted", {**_WANTED, "markeredgecolor": SOFT}),
            *trained,
            LegendEntry("found by patches of pixels", _found_look(SOFT, "x")),
        ),
        columns=4 if len(last) > 1 else 2,
        height=1.6,
    )


def _draw(axes: Axes, *, read: ReadProbe, number: int, colour: str) -> None:
    key = f"example/{number}"
    support, person = (_image(read.arrays[f"{key}/{name}"]) for name in ("support", "person"))
    gap = np.full((len(support), _GAP, 3), 255, np.uint8)
    axes.imshow(np.concatenate([support, gap, person], axis=1))
    shift = np.array([support.shape[1] + _GAP, 0])
    wanted = read.arrays[f"{key}/wanted"]
    for place in (wanted[0], wanted[1] + shift):
        axes.plot(*place, **_WANTED)
    for array in read.arrays:
        layer = array.removeprefix(f"{key}/found/")
        if layer != array:
            look = _found_look(SOFT, "x") if layer == _PIXELS else _found_look(colour)
            (mark,) = axes.plot(*(read.arrays[array] + shift), **look)
            say(mark, f"found by {layer}")
    axes.set_axis_off()


def _found_look(colour: str, marker: str = "P") -> dict[str, Any]:
    return {
        "marker": marker,
        "markersize": 6,
        "color": colour,
        "markeredgecolor": PAPER if marker == "P" else colour,
        "markeredgewidth": 0.7 if marker == "P" else 1.6,
        "linestyle": "none",
    }


def _image(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None, "the probe wrote it"
    return np.asarray(decoded[..., ::-1], dtype=np.uint8)


def _name(read: ReadProbe, number: int) -> str:
    return clean(str(read.arrays[f"example/{number}/name"][0]).replace("_", " "))


def _count(probes: Sequence[ReadProbe]) -> int:
    keys = {key.split("/")[1] for read in probes for key in read.arrays if key[:8] == "example/"}
    return max(map(int, keys), default=-1) + 1
