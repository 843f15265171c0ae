"""The table of `posebench table --kept`: the share of a number that each paradigm keeps."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from posebench.judging.robustness.kept import ALL_KINDS, KeptShares
from posebench.reporting.escaping import for_markdown
from posebench.reporting.text_tables import cell_text, markdown_table, terminal_table
from posebench.reporting.texts import NO_VALUE, estimate_text
from posebench.scoring.statistics.estimates import Estimate

_NOTE = (
    "{0} on corrupted images over {0} on clean ones, in percent, the mean over levels and "
    "networks; brackets: 95 %, from resampled images, which all networks share"
)
_MINUS = "−"


def kept_table(found: KeptShares) -> RenderableType:
    """Return the shares for the terminal.

    It has a row for each kind, and a column for each paradigm and each two that are compared.
    """
    return Group(terminal_table(*_grid(found)), *map(cell_text, _notes(found)))


def kept_markdown(found: KeptShares) -> str:
    """Return the shares as Markdown."""
    notes = [line for note in _notes(found) for line in ("", for_markdown(note))]
    return "\n".join([*markdown_table(*_grid(found)), *notes, ""])


def _grid(found: KeptShares) -> tuple[list[str], list[list[str]]]:
    paradigms = list(dict.fromkeys(share.paradigm for share in found.shares))
    kinds = list(dict.fromkeys(share.kind for share in found.shares))
    known = {(share.kind, share.paradigm): _text(share.share) for share in found.shares}
    for gap in found.gaps:
        name = f"{gap.first} {_MINUS} {gap.second}"
        known[gap.kind, name] = _text(gap.difference, signed=True)
    columns = list(dict.fromkeys([*paradigms, *(column for _, column in known)]))
    rows = [[kind, *(known.get((kind, each), NO_VALUE) for each in columns)] for kind in kinds]
    return ["corruption", *columns], rows


def _notes(found: KeptShares) -> Iterator[str]:
    counts = {share.paradigm: share.cells for share in found.shares if share.kind == ALL_KINDS}
    yield _NOTE.format(found.metric)
    yield "cells: " + ", ".join(f"{count} {paradigm}" for paradigm, count in counts.items())
    for each in found.left_out:
        lacking = ", ".join(each.lacking)
        where = f"{each.corruption} on {each.dataset}"
        yield f"{where} is left out for all: {lacking} has no {found.metric} there"
    if found.without_clean:
        yield f"left out, without {found.metric} on clean images: {', '.join(found.without_clean)}"


def _text(estimate: Estimate, *, signed: bool = False) -> str:
    return estimate_text(estimate.value, estimate.interval, signed=signed)
