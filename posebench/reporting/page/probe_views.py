"""The page's section on probes: their figures, each with a table of its numbers. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posebench.errors import DataError
from posebench.reporting.figures.probes import PROBE_FIGURES
from posebench.reporting.figures.style import Looks
from posebench.reporting.page.contents import DataTable, Figure, plain_table
from posebench.reporting.page.figure_views import figure_of
from posebench.reporting.tables.probe_tables import ProbeTable, tables_of
from posebench.results.reading import ReadProbe, probes_of
from posebench.results.store import Run

# Title, caption and figures of each probe.
_SECTIONS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "identity": (
        "Outputs are inner products",
        "The largest difference between an output and the product of what enters the last layer "
        "and its learned vectors, computed again in double precision, relative to the largest "
        "output. "
        "The arm `rounding` is the most that sums in single precision may be off.",
        (),
    ),
    "decay": (
        "Response by distance",
        "A map's response, its peak at 1 and its median at 0, by the distance in σ of the training "
        "Gaussian: in the plane for heatmaps, along each axis for SimCC.",
        ("decay",),
    ),
    "position-code": (
        "Position vectors",
        "SimCC's bins are rows of a linear layer. If they are a position code, near ones are alike "
        "and far ones are not.",
        ("position-code",),
    ),
    "keypoint-vectors": (
        "Likeness of keypoints",
        "Cosines between the vectors that a network learned for its keypoints, and between the "
        "mean tokens that it computes where keypoints are labelled.",
        ("similarity",),
    ),
    "tokens": (
        "Matching by tokens",
        "The token at a point of one or five people is sought in others: the share of points that "
        "the nearest token finds. A match must beat the support's own place in the crop.",
        ("matching", "match-examples"),
    ),
}


@dataclass(frozen=True)
class ProbeSection:
    """What the page shows of one probe: its figures, or its table alone, and what is remarked."""

    title: str
    caption: str
    figures: tuple[Figure, ...]
    tables: tuple[DataTable, ...]
    remarks: tuple[str, ...]


def probe_views(run: Run, looks: Looks | None = None) -> tuple[ProbeSection, ...]:
    """Return what the page shows of a run's probes; `looks` are those of the whole page."""
    try:
        read = probes_of(run)
    except DataError as error:
        return (ProbeSection("Probes", f"They cannot be shown: {error.message}", (), (), ()),)
    return tuple(
        _section(name, [each for each in read if each.probe.probe == name], looks)
        for name in _SECTIONS
        if any(each.probe.probe == name for each in read)
    )


def _section(name: str, read: Sequence[ReadProbe], looks: Looks | None) -> ProbeSection:
    title, caption, kinds = _SECTIONS[name]
    found = list(tables_of([each.probe for each in read]))
    tables = tuple(_table(each) for each in found if each.rows)
    figures: list[Figure] = []
    for kind in kinds:
        drawing = PROBE_FIGURES[kind].draw(read, looks)
        if drawing is not None and tables:
            # The numbers are the same for all figures of a probe: they stand with the first.
            texts = (title if not figures else f"{title}: examples", caption if not figures else "")
            figures.append(figure_of(f"probe-{kind}", texts, drawing, tables[0]))
    remarks = tuple(dict.fromkeys(text for each in found for text in each.remarks))
    others = tables if not figures else tables[1:]
    return ProbeSection(title, caption, tuple(figures), others, remarks)


def _table(table: ProbeTable) -> DataTable:
    headers = [(name, place >= table.words) for place, name in enumerate(table.headers)]
    return plain_table(f"{table.title} · {table.caption}", headers, table.rows)
