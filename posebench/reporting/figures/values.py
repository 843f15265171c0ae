"""What figures read from results: a score with its interval, how cells are named and grouped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from posebench.networks.sizes import InputSize
from posebench.reporting.figures.style import Looks
from posebench.reporting.figures.svg import clean
from posebench.results.cell import CellResult
from posebench.results.numbers import AP, bounds_of, main_metric, number_named
from posebench.results.reading import ReadCell
from posebench.scoring.units import Unit

_NAME_CHARACTERS, _NAME_END = 24, 12
# More checkpoints in one plot could not be told apart.
MOST_IN_A_PANEL = 8
_FLIP = {True: "flip test", False: "no flip test", None: "flip test unknown"}


@dataclass(frozen=True)
class Measure:
    """The score that a figure draws, in its unit: points for a fraction."""

    name: str = AP

    @property
    def unit(self) -> Unit:
        """The unit that values are in."""
        return number_named(self.name).unit

    @property
    def label(self) -> str:
        """The score's name with its unit, for an axis."""
        return f"{self.name} ({self.unit.word})"

    @property
    def more_is_better(self) -> bool:
        """Whether a larger value is the better one."""
        return number_named(self.name).better != "lower"

    def of(self, result: CellResult) -> float | None:
        """Return a result's value, or None if it has none."""
        value = (result.metrics or {}).get(self.name)
        return None if value is None else self.unit.scale * value

    def known(self, result: CellResult) -> float:
        """Return the value of a result that has one."""
        value = self.of(result)
        assert value is not None
        return value

    def worth(self, result: CellResult) -> float:
        """Return a number by which results with a value are ordered; the best has the largest."""
        return self.known(result) if self.more_is_better else -self.known(result)

    def bounds(self, result: CellResult) -> tuple[float, float] | None:
        """Return the ends of the value's interval, or None if it has none."""
        bounds = bounds_of(result, self.name)
        return (
            None if bounds is None else (self.unit.scale * bounds[0], self.unit.scale * bounds[1])
        )

    def top(self, results: Sequence[CellResult]) -> float:
        """Return the end of an axis that holds every result's value and interval."""
        ends = [value for result in results if (value := self.of(result)) is not None]
        ends += [bounds[1] for result in results if (bounds := self.bounds(result)) is not None]
        return 1.06 * max(ends, default=0.0) or 1.0

    def said(self, result: CellResult) -> str:
        """Say which cell a mark is, and its value with the interval."""
        where = f"{result.checkpoint.name}, {result.size} {way_of(result)}"
        value, bounds = self.of(result), self.bounds(result)
        if value is None:
            return f"{where}: {result.status}"
        interval = "" if bounds is None else f" ({bounds[0]:.1f}–{bounds[1]:.1f})"
        return f"{where}: {self.name} {value:.1f}{interval}"


@dataclass(frozen=True)
class View:
    """How checkpoints look in a figure, and which score it draws."""

    looks: Looks
    measure: Measure


def main_measure(results: Iterable[CellResult]) -> Measure:
    """Return the score that results are known by: AP, or the main number of data without it."""
    return Measure(main_metric(results))


def view_of(cells: Sequence[ReadCell], looks: Looks | None, measure: Measure | None) -> View:
    """Return a view; without `looks`, checkpoints look as they come.

    Without a `measure`, it is the score that results are known by.
    """
    return View(looks or looks_of(cells), measure or main_measure(c.result for c in cells))


def score_value(result: CellResult) -> float | None:
    """Return the score that a result is known by, AP in points; None if it has none."""
    return main_measure([result]).of(result)


def worth_of(result: CellResult) -> float:
    """Return a number by which results with a score are ordered; the best has the largest."""
    return main_measure([result]).worth(result)


def way_of(result: CellResult) -> str:
    """Return a result's policy, and its transform and corruption if it has one."""
    ways = (result.policy, result.transform, result.corruption)
    return " ".join(each for each in ways if each is not None)


def has_own_settings(result: CellResult) -> bool:
    """Tell whether a cell has its checkpoint's own size, policy and decoder."""
    own = result.has_own_decoder is not False
    return own and result.policy == "native" and result.size == result.checkpoint.trained_size


def is_as_trained(result: CellResult) -> bool:
    """Tell whether a cell has its checkpoint's own settings; network and images are unchanged."""
    return has_own_settings(result) and _is_unchanged(result)


def _is_unchanged(result: CellResult) -> bool:
    return result.transform is None and result.corruption is None


def with_own_decoders(cells: Sequence[ReadCell]) -> list[ReadCell]:
    """Return the cells with their checkpoints' own decoders, or all if there are none.

    Of these, transformed networks and corrupted images are left out if there are others.
    """
    own = [cell for cell in cells if cell.result.has_own_decoder is not False] or list(cells)
    return [cell for cell in own if _is_unchanged(cell.result)] or own


def short_name(name: str) -> str:
    """Return a name that fits beside a mark: a long one without its middle."""
    name = clean(name)
    if len(name) <= _NAME_CHARACTERS:
        return name
    # Names of one series, such as seeds, differ at their ends.
    return f"{name[: _NAME_CHARACTERS - _NAME_END - 1]}…{name[-_NAME_END:]}"


def looks_of(cells: Sequence[ReadCell]) -> Looks:
    """Return how the checkpoints of some cells look, in the order in which they come."""
    facts = [cell.result.checkpoint for cell in cells]
    return Looks({one.name: one.paradigm for one in facts})


def measured_by(result: CellResult) -> str:
    """Return the parts of a protocol that a suite may vary."""
    protocol = result.protocol
    return f"{protocol.dataset}, boxes {protocol.boxes}, {_FLIP[protocol.flip_test]}"


def protocol_line(results: Sequence[CellResult]) -> str:
    """Say in one line what some results were measured on and how."""
    protocols = [result.protocol for result in results]
    facts = (
        (f"{p.dataset}: {p.images} images, {p.instances} instances" for p in protocols),
        (f"boxes {p.boxes}" for p in protocols),
        sorted({_FLIP[p.flip_test] for p in protocols}),
        (p.evaluator for p in protocols),
    )
    return clean(" · ".join(" / ".join(dict.fromkeys(texts)) for texts in facts))


def matched_panels(cells: Sequence[ReadCell]) -> list[list[ReadCell]]:
    """Group cells by protocol and pair, with at most one checkpoint of a paradigm in each group.

    Cells are a pair by their label, or else by backbone and trained size. Without any pair, the
    checkpoints of a protocol come together, a few in each group.
    """
    panels = _paired(cells)
    if all(len({cell.result.checkpoint.name for cell in panel}) == 1 for panel in panels):
        return shared_panels(cells)
    return panels


def shared_panels(cells: Sequence[ReadCell]) -> list[list[ReadCell]]:
    """Group cells by protocol, with at most `MOST_IN_A_PANEL` checkpoints in each group."""
    names: dict[str, dict[str, None]] = {}
    panels: dict[tuple[str, int], list[ReadCell]] = {}
    for cell in cells:
        protocol, name = measured_by(cell.result), cell.result.checkpoint.name
        known = names.setdefault(protocol, {})
        known.setdefault(name, None)
        place = list(known).index(name) // MOST_IN_A_PANEL
        panels.setdefault((protocol, place), []).append(cell)
    return list(panels.values())


def _paired(cells: Sequence[ReadCell]) -> list[list[ReadCell]]:
    panels: dict[tuple[Any, ...], list[ReadCell]] = {}
    rivals: dict[tuple[Any, ...], list[tuple[str, str | None]]] = {}
    for cell in cells:
        facts = cell.result.checkpoint
        pair: tuple[str | None, InputSize | None] = (facts.backbone, facts.trained_size)
        key = (cell.labels.get("pair") or pair, measured_by(cell.result))
        checkpoint = (facts.name, facts.sha256)
        known = rivals.setdefault((*key, facts.paradigm), [])
        if checkpoint not in known:
            known.append(checkpoint)
        panels.setdefault((*key, known.index(checkpoint)), []).append(cell)
    return list(panels.values())


def panel_title(cells: Sequence[ReadCell], with_protocol: bool) -> str:
    """Return what the cells of a panel share, and which checkpoints they are."""
    facts = [cell.result.checkpoint for cell in cells]
    names = _listed(list(dict.fromkeys(short_name(one.name) for one in facts)))
    backbones = list(dict.fromkeys(one.backbone or "unknown backbone" for one in facts))
    sizes = list(dict.fromkeys(str(one.trained_size) for one in facts))
    parts = [names, *(backbones if len(backbones) == 1 else [])]
    parts += [f"trained at {sizes[0]}"] if len(sizes) == 1 else []
    protocols = dict.fromkeys(measured_by(cell.result) for cell in cells)
    return clean(" · ".join([*parts, *([" / ".join(protocols)] if with_protocol else [])]))


def _listed(names: Sequence[str]) -> str:
    """Return a few names joined by `and`, more of them as a range."""
    return " and ".join(names) if len(names) < 3 else f"{names[0]} to {names[-1]}"
