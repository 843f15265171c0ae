"""What `posebench data overlap` and `eval --exclude` print."""

from __future__ import annotations

from rich.console import Group, RenderableType

from posebench.datasets.overlap.report import OverlapReport, SharedImage
from posebench.reporting.text_tables import cell_text, terminal_table
from posebench.reporting.texts import estimate_text
from posebench.results.explaining.exclusion import ExcludedScores
from posebench.results.numbers import number_named
from posebench.scoring.statistics.estimates import Estimate


def overlap_text(report: OverlapReport, show: int) -> str:
    """Return the counts, and `show` pairs, a line each."""
    lines = [
        f"{report.train}: {report.train_images} images",
        f"{report.val}: {report.val_images} images, of which {len(report.images)} are in the first "
        f"set too, with {len(report.persons)} persons that both annotate",
    ]
    lines += [
        f"{count} images of {name} cannot be read"
        for count, name in zip(report.unreadable, (report.train, report.val), strict=True)
        if count
    ]
    lines += [f"  {_line(pair)}" for pair in report.pairs[:show]]
    if len(report.pairs) > show:
        lines.append(f"  and {len(report.pairs) - show} more pairs (--out writes all)")
    return "\n".join(lines)


def _line(pair: SharedImage) -> str:
    said = [f"correlation {pair.correlation:.3f}"]
    if pair.flipped:
        said.append("mirrored")
    if min(pair.window[2:]) < 0.99 or max(pair.window[2:]) > 1.01:
        x, y, width, height = (round(100 * value) for value in pair.window)
        said.append(f"covers {width} x {height} % of it from {x}, {y} %")
    if pair.persons:
        said.append(f"{len(pair.persons)} persons")
    return f"{pair.val} = {pair.train}: {', '.join(said)}"


def excluded_table(found: ExcludedScores) -> RenderableType:
    """Return both numbers of every cell: on all images, and without those left out."""
    header = ["checkpoint", "on", "number", "images", "on all", "left out", "without", "difference"]
    rows = [
        [
            each.checkpoint,
            each.place,
            each.metric,
            str(each.images),
            _text(each.whole, each.metric),
            str(each.left_out),
            _text(each.without, each.metric),
            _text(each.difference, each.metric, signed=True),
        ]
        for each in found.scores
    ]
    lines = [f"Without the images of {found.file}:"]
    notes = []
    if any(each.whole.low is not None for each in found.scores):
        notes.append("brackets: 95 %, from resampled images, the same for both numbers")
    table = terminal_table(header, rows, 3)
    return Group(*map(cell_text, lines), table, *map(cell_text, notes))


def _text(estimate: Estimate, metric: str, *, signed: bool = False) -> str:
    unit = number_named(metric).unit
    return estimate_text(estimate.value, estimate.interval, signed=signed, unit=unit)
