"""The page's figure of trained arms: the mean over seeds, with a dot for each."""

from __future__ import annotations

from collections.abc import Sequence

from posebench.errors import UsageError
from posebench.judging.claim_cells import claim_cell
from posebench.reporting.figures.lab.means import MeansRequest, means_drawing
from posebench.reporting.figures.values import is_as_trained, main_measure
from posebench.reporting.page.contents import DataTable, Figure, plain_table
from posebench.reporting.page.figure_views import figure_of
from posebench.reporting.page.pairs import ProtocolGroup
from posebench.reporting.tables.pivot.means import Averaging, averaged
from posebench.reporting.tables.pivot.slots import Source
from posebench.reporting.texts import NO_VALUE
from posebench.suites.claims import LABEL

_ARM, _SEED = f"{LABEL}arm", f"{LABEL}seed"
_CAPTION = (
    "Checkpoints at their trained sizes with their own decoders: the mean over seeds, and a dot "
    "for each. How far seeds and images could move a difference is for the claims to say."
)


def arms_figure(group: ProtocolGroup) -> Figure | None:
    """Return the figure of a protocol's trained arms; None without arms of several seeds."""
    sources = [
        Source(cell, stored, dict(cell.fields))
        for stored in group.cells
        if is_as_trained(stored.result)
        for cell in [claim_cell(stored)]
        if {_ARM, _SEED} <= set(cell.fields)
    ]
    if len({source.fields[_SEED] for source in sources}) < 2:
        return None
    request = MeansRequest(_ARM, tuple(_told_apart_by(sources)))
    try:
        drawing = means_drawing(sources, request)
    except UsageError:  # cells that no field tells apart have no mean
        return None
    if drawing is None:
        return None
    texts = (f"Arms over seeds, protocol {group.letter}", _CAPTION)
    return figure_of(f"arms-{group.letter}", texts, drawing, _table(sources, request))


def _told_apart_by(sources: Sequence[Source]) -> list[str]:
    """Return the paradigm, and in what cells of one arm and seed differ: an engine, a budget."""
    seen: dict[tuple[str, str, str], str] = {}
    fields = dict.fromkeys(name for source in sources for name in source.fields)
    return ["paradigm"] + [
        name
        for name in fields
        if name not in (_ARM, _SEED, "paradigm", "checkpoint")
        and any(
            seen.setdefault((source.fields[_ARM], source.fields[_SEED], name), value) != value
            for source in sources
            for value in [source.fields.get(name, "")]
        )
    ]


def _table(sources: Sequence[Source], request: MeansRequest) -> DataTable:
    measure = main_measure(source.stored.result for source in sources)
    fields = (_ARM, *request.by)
    rows = []
    for source in averaged(sources, Averaging(_SEED, fields, [measure.name])):
        mean = (source.means or {})[measure.name]
        shown = [
            NO_VALUE if value is None else f"{measure.unit.scale * value:.1f}"
            for value in (mean.value, mean.spread)
        ]
        rows.append((*(source.fields.get(name, "") for name in fields), *shown, str(mean.count)))
    headers = [(name.removeprefix(LABEL), False) for name in fields]
    headers += [(measure.label, True), ("standard deviation", True), ("seeds", True)]
    return plain_table(f"{measure.label} of each arm, over seeds", headers, rows)
