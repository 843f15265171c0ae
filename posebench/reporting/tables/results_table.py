"""The table of an evaluation, for the terminal. Reads results only: no torch, no pandas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from posebench.reporting.printing import WIDE, print_fitting, screen_width
from posebench.reporting.tables.reasons import reason_lines
from posebench.reporting.text_tables import (
    TextTable,
    cell_text,
    columns_that_fit,
    terminal_table,
)
from posebench.reporting.texts import NO_VALUE, number_text, points
from posebench.results.cell import CellResult
from posebench.results.findings import finding_lines
from posebench.results.numbers import (
    AP,
    NUMBERS,
    bounds_of,
    main_metric,
    main_metrics,
    number_named,
)
from posebench.scoring.distances.recipes import DISTANCE_METRICS

_BODY_PARTS = ("body", "foot", "face", "left hand", "right hand")
# The numbers of data, by one that tells them, the most special first. Data without AP have those by
# distance, in the order of their record.
METRIC_COLUMNS = {
    "AP(body)": ("AP", *(f"AP({part})" for part in _BODY_PARTS), "AR"),
    "AP(hard)": ("AP", "AP50", "AP75", "AP(easy)", "AP(medium)", "AP(hard)", "AR"),
    "AP": ("AP", "AP50", "AP75", "AP(M)", "AP(L)", "AR"),
}
# If the table is too wide, the first of these columns go to the caption if they say the same in
# every row, and then the second are left out, the most dispensable first.
LIFTED_FIRST = (
    "boxes", "flip", "policy", "paradigm", "backbone", "params M", "GFLOPs", "status",
)  # fmt: skip
DISPENSABLE = (
    *(name for name in reversed([*DISTANCE_METRICS]) if "(" in name),
    "AP75", "AP(M)", "AP(medium)", "AP(L)", "AP(easy)", "GFLOPs", "AP50", "backbone", "params M",
    "AR", "paradigm", "AP(hard)", "flip", "boxes", "inst/s", "PCK@0.1", "AP 95%", "AP official",
    "difference",
)  # fmt: skip
# Below this, resamples of images say little about other images.
FEW_IMAGES = 30
NO_SPEED = "no inst/s where an earlier run's outputs were scored (posebench bench measures speed)"


@dataclass(frozen=True)
class Column:
    """A header and how a result is shown under it."""

    header: str
    show: Callable[[CellResult], str]
    numeric: bool = False


def _number(name: str) -> Column:
    number = NUMBERS[name]
    return Column(name, lambda r: number_text(number.read(r), number.unit), numeric=True)


def _engine(result: CellResult) -> str:
    engine = result.protocol.engine
    return NO_VALUE if engine is None else f"{engine} {result.protocol.precision}"


def _flip(result: CellResult) -> str:
    return {True: "yes", False: "no", None: NO_VALUE}[result.protocol.flip_test]


def _interval(name: str) -> Column:
    unit = number_named(name).unit

    def show(result: CellResult) -> str:
        bounds = bounds_of(result, name)
        return NO_VALUE if bounds is None else "–".join(map(unit.text, bounds))

    return Column(f"{name} 95%", show, numeric=True)


def _official(result: CellResult) -> str:
    return points(result.official.metrics.get(AP)) if result.official else NO_VALUE


def _official_gap(result: CellResult) -> str:
    """Show the largest difference of any number from the official evaluator's, as a fraction."""
    if result.official is None:
        return NO_VALUE
    ours = result.metrics or {}
    gaps = [_gap(ours.get(name), value) for name, value in result.official.metrics.items()]
    return f"{max(gaps):.0e}"


def _gap(one: float | None, other: float | None) -> float:
    if one is None or other is None:
        return 0.0 if one is other else float("inf")
    return abs(one - other)


def _metric_columns(results: Sequence[CellResult]) -> tuple[str, ...]:
    """Return the numbers that data are shown by: those around AP, and those by distance."""
    known = dict.fromkeys(name for result in results for name in result.metrics or {})
    # As the results have them: in the order of their record.
    distances = tuple(name for name in known if name in DISTANCE_METRICS)
    if known and AP not in known:
        return distances
    special = next((name for name in METRIC_COLUMNS if name in known), AP)
    return (*METRIC_COLUMNS[special], *distances)


def columns(results: Sequence[CellResult]) -> list[Column]:
    """Return the columns that suit what `results` hold."""
    first, *others = _metric_columns(results)
    checks = []
    sampled = any(result.intervals for result in results)
    if sampled:
        checks.append(_interval(first))
    further = []
    for name in others:
        further.append(_number(name))
        if sampled and name in main_metrics(results):
            further.append(_interval(name))
    if any(result.official for result in results):
        checks.append(Column("AP official", _official, numeric=True))
        checks.append(Column("difference", _official_gap, numeric=True))
    # The usual one, torch in fp32, goes without saying.
    unusual = any(result.unusual_execution for result in results)
    engines = [Column("engine", _engine)] if unusual else []
    if any(result.transform for result in results):
        engines.append(Column("transform", lambda r: r.protocol.transform))
    if any(result.corruption for result in results):
        engines.append(Column("corruption", lambda r: r.protocol.corruption))
    return [
        Column("checkpoint", lambda r: r.checkpoint.name),
        Column("paradigm", lambda r: r.checkpoint.paradigm or NO_VALUE),
        Column("backbone", lambda r: r.checkpoint.backbone or NO_VALUE),
        _number("params M"),
        _number("GFLOPs"),
        Column("size", lambda r: str(r.size or NO_VALUE), numeric=True),
        Column("policy", lambda r: r.policy or NO_VALUE),
        Column("boxes", lambda r: r.protocol.boxes),
        Column("flip", _flip),
        Column("decoder", lambda r: r.protocol.decoder or NO_VALUE),
        *engines,
        Column("status", lambda r: r.status),
        _number(first),
        *checks,
        *further,
        _number("PCK@0.1"),
        _number("inst/s"),
    ]


def results_table(results: Sequence[CellResult], width: int) -> RenderableType:
    """Return the table of `results`, with a line for each reason why cells have no numbers.

    If all rows share the decoder or the engine, the caption says it. If the table is wider than
    `width`, columns that say the same in every row move to the caption; if that is not enough,
    dispensable ones are left out and the caption says which.
    """
    shown, lifted = columns(results), list[Column]()
    for column in [each for each in shown if each.header in ("decoder", "engine")]:
        if len({column.show(result) for result in results} - {NO_VALUE}) < 2:
            shown.remove(column)
            lifted.append(column)
    for header in LIFTED_FIRST:
        if _table(results, shown).needed(width) <= width:
            break
        column = next(column for column in shown if column.header == header)
        if len({column.show(result) for result in results}) == 1:
            shown.remove(column)
            lifted.append(column)
    wanted = {column.header: column for column in shown}

    def table_of(headers: Sequence[str]) -> TextTable:
        return _table(results, [wanted[header] for header in headers])

    shown = [wanted[name] for name in columns_that_fit([*wanted], DISPENSABLE, width, table_of)]
    dropped = [column for column in wanted.values() if column not in shown]
    found = map(cell_text, finding_lines(results))
    caption, table = _caption(results, lifted, dropped), _table(results, shown)
    return Group(*found, caption, table, *map(cell_text, reason_lines(results)))


def _caption(
    results: Sequence[CellResult], lifted: Sequence[Column], dropped: Sequence[Column]
) -> Text:
    protocol = results[0].protocol
    same = [(column.header, _shared(column, results)) for column in lifted]
    scored = {result.protocol.scored_keypoints for result in results}
    facts = [
        f"{protocol.dataset}: {protocol.images} images, {protocol.instances} instances",
        *([f"left out: {', '.join(protocol.boxes_left_out)}"] if protocol.boxes_left_out else []),
        *(f"keypoints scored: {text}" for text in sorted(filter(None, scored))),
        *(f"{header} {value}" for header, value in same if value != NO_VALUE),
        f"scored by {protocol.evaluator}",
        *_checks(results),
        _units(results),
        *([NO_SPEED] if any(map(_has_no_speed, results)) else []),
    ]
    if dropped:
        headers = ", ".join(column.header for column in dropped)
        facts.append(f"no room for {headers}: a pipe or a wider window shows them")
    return cell_text(" · ".join(facts))


def _units(results: Sequence[CellResult]) -> str:
    """Say in what units scores are shown."""
    names = [*_metric_columns(results), "PCK"]
    units: dict[str, list[str]] = {}
    for name in names:
        kind = name.partition("(")[0].partition("@")[0].rstrip("0123456789")
        units.setdefault(number_named(name).unit.word, []).append(kind)
    return ", ".join(
        f"{' and '.join(dict.fromkeys(k for k in kinds if k != 'AR'))} in {word}"
        for word, kinds in units.items()
    )


def _checks(results: Sequence[CellResult]) -> list[str]:
    """Return how intervals were made, and which official evaluator scored too."""
    said = []
    intervals = next((result.intervals for result in results if result.intervals), None)
    if intervals is not None:
        said.append(
            f"{main_metric(results)} 95%: {intervals.method} interval, {intervals.replicates} "
            "resamples of images"
        )
        if results[0].protocol.images < FEW_IMAGES:
            said.append("too few images for intervals to be trusted")
    official = next((result.official for result in results if result.official), None)
    if official is not None:
        said.append(f"official: {official.evaluator}, largest difference of any number")
    return said


def _has_no_speed(result: CellResult) -> bool:
    return result.status == "ok" and result.instances_per_second is None


def _shared(column: Column, results: Sequence[CellResult]) -> str:
    """Return what `column` says in every row that has it."""
    values = (column.show(result) for result in results)
    return next((value for value in values if value != NO_VALUE), NO_VALUE)


def _table(results: Sequence[CellResult], shown: Sequence[Column]) -> TextTable:
    looks = {"ok": None, "failed": "red"}
    return terminal_table(
        [column.header for column in shown],
        [[column.show(result) for column in shown] for result in results],
        [column.header for column in shown if not column.numeric],
        [looks.get(result.status, "dim") for result in results],
    )


def print_results(results: Sequence[CellResult]) -> None:
    """Print the table at the terminal's width; in a file or pipe every line stays whole."""
    print_fitting(results_table(results, screen_width() or WIDE))


def by_data(results: Sequence[CellResult]) -> list[list[CellResult]]:
    """Return results of each data set and boxes apart: a table's caption names only one."""
    groups: dict[tuple[str, str, str, int], list[CellResult]] = {}
    for result in results:
        protocol = result.protocol
        key = protocol.dataset, protocol.annotations_sha256, protocol.boxes, protocol.instances
        groups.setdefault(key, []).append(result)
    return list(groups.values())
