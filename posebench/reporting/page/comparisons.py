"""Which checkpoints the page compares, and their differences with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from posebench.errors import UsageError
from posebench.judging.differences import (
    Subtraction,
    baseline_of,
    chance_of,
    checkpoints_of,
    differences_of,
)
from posebench.judging.verdicts import LEVEL
from posebench.reporting.figures.values import way_of
from posebench.reporting.page.contents import (
    DataTable,
    TableCell,
    TableColumn,
    verdict_class,
)
from posebench.reporting.page.pairs import (
    CellPair,
    ProtocolGroup,
    differing_fields,
    incomparable_pairs,
    matched_pairs,
    protocol_text,
    training_of,
    two_best,
)
from posebench.reporting.tables.difference_table import verdict_word
from posebench.reporting.texts import NO_VALUE, number_text, p_text
from posebench.results.differences import Difference, read_differences
from posebench.results.numbers import main_metric, number_named
from posebench.results.store import Run
from posebench.scoring.units import POINTS

_OF_ONE_TRAINING = (
    "Each row is of one training a side: what other seeds would do is for the claims to say."
)


@dataclass(frozen=True)
class Wish:
    """What a reader asked to compare: two checkpoints, or all others with a baseline."""

    baseline: str | None = None
    pair: tuple[str, str] | None = None


@dataclass(frozen=True)
class Compared:
    """A difference, and the two cells that it is of, where there are two."""

    difference: Difference
    pair: CellPair | None


@dataclass(frozen=True)
class Comparison:
    """What the page compares; `said` tells how it was chosen, `is_asked_for` that a reader did."""

    said: str
    rows: tuple[Compared, ...] = ()
    is_asked_for: bool = False

    @property
    def pairs(self) -> list[CellPair]:
        """The pairs of cells, in order."""
        return [row.pair for row in self.rows if row.pair is not None]


def compared(run: Run, groups: Sequence[ProtocolGroup], wish: Wish) -> Comparison:
    """Return the pairs of a run: those asked for, or those that its readers look for first.

    Without a wish they are those of `posebench eval` with its baseline, else of matched pairs of
    paradigms, else of the two best. Raises `UsageError` for names that the run does not have.
    """
    names = checkpoints_of(run)
    if wish.pair is not None:
        first, second = (baseline_of(names, name) for name in wish.pair)
        if first == second:
            raise UsageError(f"--pair names {first} twice.", hint="Name two checkpoints.")
        chosen = [c for c in run.cells if c.result.checkpoint.name in (first, second)]
        found = differences_of(replace(run, cells=tuple(chosen)), first).differences
        return Comparison(f"{second} against {first}.", _rows(run, groups, found), True)
    if wish.baseline is not None:
        baseline = baseline_of(names, wish.baseline)
        rows = _rows(run, groups, differences_of(run, baseline).differences)
        return Comparison(f"Every other checkpoint against {baseline}.", rows, True)
    kept = read_differences(run.folder)
    if kept is not None:
        said = f"Every other checkpoint against {kept.baseline}, the baseline of the evaluation."
        return Comparison(said, _rows(run, groups, kept.differences))
    return _by_default(run, groups)


def _by_default(run: Run, groups: Sequence[ProtocolGroup]) -> Comparison:
    found = _chosen(run, groups)
    if not any(training_of(cell) for pair in found.pairs for cell in pair.cells):
        return found
    return replace(found, said=f"{found.said} {_OF_ONE_TRAINING}")


def _chosen(run: Run, groups: Sequence[ProtocolGroup]) -> Comparison:
    matched = (*matched_pairs(groups), *incomparable_pairs(groups))
    if matched:
        said = (
            "Matched pairs: two paradigms, otherwise alike in label or backbone, size, policy and "
            "protocol, each with its own decoder."
        )
        return Comparison(said, _subtracted(run, matched))
    best = two_best(groups)
    if best:
        found: dict[str, dict[str, None]] = {}
        for pair in best:
            found.setdefault(_best_by(pair), {})[" and ".join(pair.names)] = None
        said = " ".join(f"{known}: {', '.join(names)}." for known, names in found.items())
        return Comparison(said, _subtracted(run, best))
    metric = main_metric(cell.result for cell in run.cells)
    return Comparison(f"There are no two checkpoints with {metric} to compare.")


def _metric(pair: CellPair) -> str:
    """Return the number that a pair is compared by: AP, or the main one of data without it."""
    return main_metric(cell.result for cell in pair.cells)


def _best_by(pair: CellPair) -> str:
    """Return what the two of `two_best` are the best of."""
    metric, (one, other) = _metric(pair), map(training_of, pair.cells)
    if one and one == other:
        return "The best two of one seed, data and budget"
    if bool(one) != bool(other):
        return f"The best trained here and the best of the others, by {metric}"
    word = "lowest" if number_named(metric).better == "lower" else "highest"
    return f"The two of the {word} {metric}"


def _rows(
    run: Run, groups: Sequence[ProtocolGroup], found: Sequence[Difference]
) -> tuple[Compared, ...]:
    """Return differences that were computed, each with its cells."""
    cells = {cell.id: cell for cell in run.cells}
    owners = {cell.id: group for group in groups for cell in group.cells}
    rows = []
    for each in found:
        pair = None
        first, second = cells.get(each.baseline_cell or ""), cells.get(each.cell or "")
        if first is not None and second is not None and {first.id, second.id} <= owners.keys():
            one, other = owners[first.id], owners[second.id]
            fields = () if each.difference is not None else differing_fields(one, other)
            pair = CellPair((first, second), (one.letter, other.letter), differing=fields)
            pair = pair if first.result.metrics and second.result.metrics else None
        rows.append(Compared(each, pair))
    return tuple(rows)


def _subtracted(run: Run, pairs: Sequence[CellPair]) -> tuple[Compared, ...]:
    """Return the differences of pairs, with their intervals and p-values over all of them."""
    plain = [_difference(pair) for pair in pairs]
    asked = [each for each in plain if each.difference is not None]
    chances = chance_of(
        [run],
        [
            Subtraction(
                each.metric, (0, each.cell or ""), (0, each.baseline_cell or ""), each.difference
            )
            for each in asked
            if each.difference is not None
        ],
    )
    told = {
        (each.cell, each.baseline_cell): replace(
            each,
            low=chance.low,
            high=chance.high,
            p=chance.p,
            p_holm=chance.p_holm,
            told_apart=None if chance.p_holm is None else chance.p_holm < LEVEL,
        )
        for each, chance in zip(asked, chances, strict=True)
    }
    return tuple(
        Compared(told.get((each.cell, each.baseline_cell), each), pair)
        for each, pair in zip(plain, pairs, strict=True)
    )


def _difference(pair: CellPair) -> Difference:
    """Return the difference of a pair without chance, or why there is none."""
    first, second = pair.cells
    metric = _metric(pair)
    one, other = ((cell.result.metrics or {}).get(metric) for cell in pair.cells)
    reason = f"the protocols differ in {', '.join(pair.differing)}" if pair.differing else None
    if reason is None and (one is None or other is None):
        reason = f"one of them has no {metric}"
    return Difference(
        metric,
        checkpoint=pair.names[1],
        baseline=pair.names[0],
        cell=second.id,
        baseline_cell=first.id,
        value=other,
        baseline_value=one,
        difference=None if reason or one is None or other is None else other - one,
        reason=reason,
    )


def difference_table(comparison: Comparison) -> DataTable | None:
    """Return the table of differences, None without any; a column appears where it says something.

    What forbids to subtract takes the place of a difference.
    """
    metrics = [*dict.fromkeys(row.difference.metric for row in comparison.rows)]
    if not metrics:
        return None
    number = metrics[0] if len(metrics) == 1 else "number"
    lines = [_line(row, number) for row in comparison.rows]
    numeric = (*_NUMBERS, number, f"other {number}")
    alike = [name for name in _LIFTED if len({line[name] for line in lines}) == 1]
    said = [f"{name} {lines[0][name]}" for name in alike if lines[0][name] not in ("", NO_VALUE)]
    shown = [
        name
        for name in lines[0]
        if name not in alike
        and (name in _ALWAYS or any(line[name] not in ("", NO_VALUE) for line in lines))
    ]
    in_all = f" In all rows: {', '.join(said)}." if said else ""
    return DataTable(
        f"{_caption(comparison)}{in_all}",
        tuple(TableColumn(name, name in numeric) for name in shown),
        tuple(
            tuple(TableCell(line[name], _class(name, line[name])) for name in shown)
            for line in lines
        ),
    )


_ALWAYS = ("checkpoint", "against", "difference", "told apart")
_NUMBERS = ("difference", "95 %", "p (Holm)", "size")
_LIFTED = ("size", "policy", "protocol", "at")


def _caption(comparison: Comparison) -> str:
    """Say what differences are of, and what their chance rests on."""
    found = [row.difference for row in comparison.rows]
    if all(each.difference is None for each in found):
        return "No two cells can be subtracted; the last column says why."
    tested = sum(each.p_holm is not None for each in found)
    units = ", ".join(dict.fromkeys(_unit_text(each.metric) for each in found))
    if not tested:
        return f"{units}. Nothing was resampled, so chance cannot be told."
    return (
        f"{units}. Intervals are of the difference, from resamples of the images that both "
        f"cells share; p-values are adjusted by Holm over {tested} difference{'s' * (tested != 1)}."
    )


def _unit_text(metric: str) -> str:
    unit = number_named(metric).unit
    return f"Points of {metric}" if unit == POINTS else f"{metric} in {unit.word}"


def _line(row: Compared, number: str) -> dict[str, str]:
    """Return a row by header; `number` heads what is subtracted."""
    each, pair = row.difference, row.pair
    unit = number_named(each.metric).unit
    bounds = [end for end in (each.low, each.high) if end is not None]
    cells = () if pair is None else pair.cells
    sizes = dict.fromkeys(str(cell.result.size) for cell in cells)
    ways = dict.fromkeys(way_of(cell.result) or NO_VALUE for cell in cells)
    place = {n: t for n, t in each.place.items() if n not in ("size", "policy", "transform")}
    reasons = [each.reason or "", "; ".join(each.differing)]
    return {
        "checkpoint": each.checkpoint,
        "of": "" if each.metric == number else each.metric,
        "difference": NO_VALUE if each.difference is None else unit.signed(each.difference),
        "95 %": " to ".join(map(unit.signed, bounds)) or NO_VALUE,
        "p (Holm)": p_text(each.p_holm),
        "told apart": verdict_word(each),
        "against": each.baseline,
        number: number_text(each.value, unit),
        f"other {number}": number_text(each.baseline_value, unit),
        "pair": "" if pair is None else pair.label,
        "size": " / ".join(sizes) or each.place.get("size", NO_VALUE),
        "policy": " / ".join(ways) or each.place.get("policy", NO_VALUE),
        "at": ", ".join(f"{name} {text}" for name, text in place.items()),
        "protocol": NO_VALUE if pair is None else protocol_text(pair),
        "differ in": "; ".join(filter(None, reasons)),
    }


def _class(header: str, text: str) -> str:
    return verdict_class(text) if header == "told apart" else ""
