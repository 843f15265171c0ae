"""The table of paired differences between checkpoints, for the terminal. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from posebench.reporting.text_tables import TextTable, cell_text, columns_that_fit, terminal_table
from posebench.reporting.texts import NO_VALUE, p_text
from posebench.results.differences import Difference, Differences
from posebench.results.numbers import number_named

# Left out where there is no room, the most dispensable first.
_DISPENSABLE = ("detectable", "baseline", "p (Holm)")
_VERDICT = "told apart"
_FLIP = "flip_test"


def difference_table(found: Differences, width: int) -> RenderableType:
    """Return the differences, a table for each number, and what they rest on.

    Columns without room are left out.
    """
    numbers: dict[str, list[Difference]] = {}
    for each in found.differences:
        numbers.setdefault(each.metric, []).append(each)
    parts = list[RenderableType]()
    for rows in numbers.values():
        table, left_out = _table(rows, width)
        notes = [f"no room for {', '.join(left_out)}"] if left_out else []
        notes += _notes(rows, _tested(found.differences))
        heading = f"Against {found.baseline}{_sample(rows)}:"
        parts += [Text(), cell_text(heading), table, *map(cell_text, notes)]
    if found.alone:
        parts.append(cell_text(f"without a partner: {', '.join(found.alone)}"))
    return Group(*parts)


def _table(rows: Sequence[Difference], width: int) -> tuple[TextTable, list[str]]:
    """Return the table of one number, and the columns that it has no room for."""
    places = list(dict.fromkeys(name for each in rows for name in each.place))
    header = ["checkpoint", *places, *_numbers(rows[0])]

    def table_of(names: Sequence[str]) -> TextTable:
        lines = [_line(each, places) for each in rows]
        words = [name for name in ("checkpoint", *places) if name in names]
        cells = [[line[name] for name in names] for line in lines]
        return terminal_table(list(names), cells, words, [_style(each) for each in rows])

    shown = columns_that_fit(header, _DISPENSABLE, width, table_of)
    return table_of(shown), [name for name in header if name not in shown]


def _numbers(first: Difference) -> list[str]:
    metric = first.metric
    return [metric, "baseline", "difference", "95 %", "p (Holm)", _VERDICT, "detectable"]


def _line(each: Difference, places: Sequence[str]) -> dict[str, str]:
    unit = number_named(each.metric).unit
    low, high = each.low, each.high
    bounds = low is None or high is None
    return {
        "checkpoint": each.checkpoint,
        **{name: each.place.get(name, NO_VALUE) for name in places},
        each.metric: NO_VALUE if each.value is None else unit.text(each.value),
        "baseline": NO_VALUE if each.baseline_value is None else unit.text(each.baseline_value),
        "difference": NO_VALUE if each.difference is None else unit.signed(each.difference),
        "95 %": NO_VALUE if bounds else " to ".join(map(unit.signed, _bounds(each))),
        "p (Holm)": p_text(each.p_holm),
        _VERDICT: verdict_word(each),
        "detectable": NO_VALUE if each.detectable is None else unit.text(each.detectable),
    }


def _bounds(each: Difference) -> list[float]:
    return [end for end in (each.low, each.high) if end is not None]


def verdict_word(each: Difference) -> str:
    """Show what a difference says: `better`, `worse`, `no` where chance explains it, or `n/c`."""
    if each.difference is None:
        return "n/c"
    if each.told_apart is None:
        return NO_VALUE
    return ("better" if each.is_better else "worse") if each.told_apart else "no"


def _style(each: Difference) -> str | None:
    return {"n/c": "dim", "better": "green", "worse": "red"}.get(verdict_word(each))


def _sample(rows: Sequence[Difference]) -> str:
    counts = sorted({each.images for each in rows if each.images is not None})
    if not counts:
        return ""
    number = " or ".join(map(str, counts)) if len(counts) < 3 else f"{counts[0]} to {counts[-1]}"
    return f", paired over the same {number} images"


def _tested(rows: Sequence[Difference]) -> int:
    return sum(each.p_holm is not None for each in rows)


def _notes(rows: Sequence[Difference], family: int) -> list[str]:
    """Return what the differences rest on, in what checkpoints differ, and why some have none.

    `family` is over how many differences p-values are adjusted.
    """
    metric = rows[0].metric
    notes = list[str]()
    if _tested(rows):
        notes.append(
            f"{metric} in {number_named(metric).unit.word}; 95 % intervals from resampled images, "
            f"the same for both; p two-sided, adjusted by Holm over {_counted(family)}"
        )
    elif any(each.difference is not None for each in rows):
        notes.append("nothing was resampled, so chance cannot be told (--replicates)")
    if limits := [each.detectable for each in rows if each.detectable is not None]:
        unit = number_named(metric).unit
        ends = dict.fromkeys(unit.text(end) for end in (min(limits), max(limits)))
        notes.append(
            f"not told apart is not equal: one test tells a true difference of "
            f"{' to '.join(ends)} or more in four cases of five"
        )
    notes += [f"differ in {text}: {names}" for text, names in _grouped(rows).items()]
    reasons: dict[str, list[str]] = {}
    for each in rows:
        if each.reason is not None:
            reasons.setdefault(each.reason, []).append(_named(each))
    notes += [f"n/c: {', '.join(where)}: {why}" for why, where in reasons.items()]
    if any(_FLIP in why for why in reasons):
        notes.append("--flip or --no-flip gives all checkpoints the same flip test")
    return notes


def _counted(count: int) -> str:
    return "1 difference" if count == 1 else f"{count} differences"


def _grouped(rows: Sequence[Difference]) -> dict[str, str]:
    """Return in what checkpoints differ from the baseline besides their weights, and which do."""
    groups: dict[str, dict[str, None]] = {}
    for each in rows:
        for text in each.differing:
            groups.setdefault(text, {})[each.checkpoint] = None
    return {text: ", ".join(names) for text, names in groups.items()}


def _named(each: Difference) -> str:
    place = ", ".join(each.place.values())
    return f"{each.checkpoint} ({place})" if place else each.checkpoint


def print_differences(found: Differences) -> None:
    """Print the table at the terminal's width; in a file or pipe every line stays whole."""
    from posebench.reporting.printing import WIDE, print_fitting, screen_width

    print_fitting(difference_table(found, screen_width() or WIDE))
