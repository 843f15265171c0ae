"""The table of `posebench table --kept`: the share of AP that each paradigm keeps."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType

from posebench.judging.robustness.kept import KeptShare
from posebench.reporting.text_tables import cell_text, markdown_table, terminal_table
from posebench.reporting.texts import NO_VALUE, estimate_text

_NOTE = (
    "AP on corrupted images over AP on clean ones, in percent, the mean over levels and networks; "
    "brackets: 95 %, from resampled images"
)


def kept_table(shares: Sequence[KeptShare]) -> RenderableType:
    """Return the shares for the terminal, a row for each kind and a column for each paradigm."""
    header, rows = _grid(shares)
    return Group(terminal_table(header, rows), cell_text(_NOTE))


def kept_markdown(shares: Sequence[KeptShare]) -> str:
    """Return the shares as Markdown."""
    return "\n".join([*markdown_table(*_grid(shares)), "", _NOTE, ""])


def _grid(shares: Sequence[KeptShare]) -> tuple[list[str], list[list[str]]]:
    paradigms = list(dict.fromkeys(share.paradigm for share in shares))
    kinds = list(dict.fromkeys(share.kind for share in shares))
    known = {(share.kind, share.paradigm): _text(share) for share in shares}
    rows = [[kind, *(known.get((kind, each), NO_VALUE) for each in paradigms)] for kind in kinds]
    return ["corruption", *paradigms], rows


def _text(share: KeptShare) -> str:
    estimate = share.share
    bounds = None
    if estimate.low is not None and estimate.high is not None:
        bounds = estimate.low, estimate.high
    return estimate_text(estimate.value, bounds)
