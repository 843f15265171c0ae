"""A comparison of two runs as terminal table, Markdown, JUnit XML, JSON and GitHub annotations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

from rich.console import Group, RenderableType

from posebench.files.records import mapping_from_record
from posebench.judging.changes import CellComparison, CellState, Change, Comparison, is_of
from posebench.reporting.escaping import for_github, for_markdown, one_line
from posebench.reporting.tables.reasons import reason_alone
from posebench.reporting.text_tables import cell_text, markdown_table, terminal_table
from posebench.reporting.texts import NO_VALUE, p_text
from posebench.results.numbers import AP, number_named

SCHEMA_VERSION = 2
_WORDS: dict[CellState, str] = {
    "changed": "changed",
    "unchanged": "unchanged",
    "failed": "failed now",
    "missing": "missing",
    "new": "new",
    "incomparable": "not comparable",
    "neither": "without result in either",
}
_POWER = (
    "(1.96 + 0.84) times the standard deviation of the difference over paired resamples of the "
    "images; for one test at 5 %, before Holm's adjustment"
)
_LISTED: tuple[CellState, ...] = ("failed", "missing", "new", "incomparable", "neither")


def comparison_table(comparison: Comparison) -> RenderableType:
    """Return the comparison for the terminal: changed cells, the others by reason, gates."""
    above = (*comparison.findings, _headline(comparison), *comparison.partners)
    parts: list[RenderableType] = [*map(cell_text, above)]
    for header, rows in _tables(comparison):
        parts.append(terminal_table(header, rows))
    parts += map(cell_text, (*_listed(comparison), *_gate_lines(comparison)))
    return Group(*parts)


def comparison_markdown(comparison: Comparison) -> str:
    """Return the comparison for a pull request."""
    verdict = "passed" if comparison.passed else "**failed**"
    lines = [f"### posebench: gates {verdict}", ""]
    found = [f"- {for_markdown(line)}" for line in comparison.findings]
    lines += [*found, *([""] if found else []), for_markdown(_headline(comparison))]
    if comparison.partners:
        lines += ["", *(f"- {for_markdown(line)}" for line in comparison.partners)]
    for header, rows in _tables(comparison):
        lines += ["", *markdown_table(header, [[*map(for_markdown, row)] for row in rows])]
    for more in (_listed(comparison), _gate_lines(comparison)):
        lines += ["", *(f"- {for_markdown(line)}" for line in more)] if more else []
    return "\n".join(lines) + "\n"


def comparison_json(comparison: Comparison) -> str:
    """Return the comparison as JSON, fractions at full precision."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "passed": comparison.passed,
        **mapping_from_record(comparison),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def comparison_junit(comparison: Comparison) -> str:
    """Return JUnit XML: a test case per gate and cell, failures with what they show."""
    names = [cell.id for cell in comparison.cells]
    suites = ElementTree.Element("testsuites", name="posebench compare")
    for gate in comparison.gates:
        offenders = dict(gate.offenders)
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=gate.gate,
            tests=str(len(names)),
            failures=str(len(offenders)),
        )
        for name in names:
            case = ElementTree.SubElement(suite, "testcase", classname=gate.gate, name=name)
            if name in offenders:
                failure = ElementTree.SubElement(case, "failure", message=one_line(offenders[name]))
                failure.text = one_line(f"gate {gate.gate!r}: {offenders[name]}")
    ElementTree.indent(suites)
    text: str = ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)
    return text + "\n"


def github_annotations(comparison: Comparison) -> str:
    """Return workflow commands that GitHub shows as errors, one per gate and cell that fails."""
    return "".join(
        f"::error title={for_github(f'posebench: {gate.gate}', as_property=True)}::"
        f"{for_github(f'{name}: {shown}')}\n"
        for gate in comparison.gates
        for name, shown in gate.offenders
    )


_HEADER = ("change", "95 % interval", "p (Holm)", "other changes", "speed")
_SPEED_HEADER = ("cell", "speed", "before", "now", "change", "by their repeats")
Rows = list[tuple[str, ...]]


def _tables(comparison: Comparison) -> list[tuple[tuple[str, ...], Rows]]:
    """Return headers and rows: changed cells by their main number, speeds that were repeated."""
    changed: dict[str, Rows] = {}
    for cell in comparison.cells:
        if cell.state == "changed":
            main = _main(cell)
            changed.setdefault(main, []).append(_row(cell, main))
    speeds = [
        _speed_row(cell.id, change)
        for cell in comparison.cells
        for change in cell.changes
        if change.told is not None
    ]
    tables = [(("cell", main, f"new {main}", *_HEADER), rows) for main, rows in changed.items()]
    return [*tables, *([(_SPEED_HEADER, speeds)] if speeds else [])]


def _speed_row(name: str, change: Change) -> tuple[str, ...]:
    number = number_named(change.metric)
    verdict = "not told apart"
    if change.told:
        better = (change.candidate > change.baseline) == (number.better == "higher")
        verdict = "faster" if better else "slower"
    return (
        name,
        change.metric,
        number.unit.text(change.baseline),
        number.unit.text(change.candidate),
        _relative(change),
        verdict,
    )


def _relative(change: Change) -> str:
    return f"{100 * (change.candidate / change.baseline - 1):+.0f} %"


def _main(cell: CellComparison) -> str:
    """Return the number that a cell is known by: AP, or its first score if it has none."""
    names = [change.metric for change in cell.changes if is_of(change, "score")]
    return AP if AP in names or not names else names[0]


def _row(cell: CellComparison, main: str) -> tuple[str, ...]:
    ap, speed = cell.change(main), cell.change("inst/s")
    unit = number_named(main).unit
    others = [
        c for c in cell.changes if c.metric != main and is_of(c, "score") and c.difference.value
    ]
    largest = max(others, key=lambda c: abs(c.difference.value or 0), default=None)
    more = NO_VALUE
    if largest is not None:
        more = f"{largest.metric} {_signed(largest)}" + (
            f" and {len(others) - 1} more" if len(others) > 1 else ""
        )
    return (
        cell.id,
        unit.text(ap.baseline) if ap else NO_VALUE,
        unit.text(ap.candidate) if ap else NO_VALUE,
        _signed(ap),
        _interval(ap),
        p_text(ap.difference.p_holm) if ap else NO_VALUE,
        more,
        NO_VALUE if speed is None else _relative(speed),
    )


def _signed(change: Change | None) -> str:
    if change is None or change.difference.value is None:
        return NO_VALUE
    return number_named(change.metric).unit.signed(change.difference.value)


def _interval(change: Change | None) -> str:
    if change is None:
        return NO_VALUE
    low, high, unit = (
        change.difference.low,
        change.difference.high,
        number_named(change.metric).unit,
    )
    return "none" if low is None or high is None else f"{unit.signed(low)} to {unit.signed(high)}"


def _headline(comparison: Comparison) -> str:
    counts = Counter(cell.state for cell in comparison.cells)
    parts = [f"{counts[state]} {word}" for state, word in _WORDS.items() if counts[state]]
    return f"{comparison.baseline} -> {comparison.candidate}: {', '.join(parts)}"


def _listed(comparison: Comparison) -> list[str]:
    groups: dict[tuple[CellState, str], list[str]] = {}
    for state in _LISTED:
        for cell in comparison.cells:
            if cell.state == state:
                reason = reason_alone(cell.reason or NO_VALUE)
                groups.setdefault((state, reason), []).append(cell.id)
    cells = [
        f"{_WORDS[state]} ({reason}): {', '.join(names)}"
        for (state, reason), names in groups.items()
    ]
    reasons = Counter(cell.speed_reason for cell in comparison.cells if cell.speed_reason)
    speeds = [
        f"speeds of {count} cells not comparable: {reason}" for reason, count in reasons.items()
    ]
    return [*cells, *speeds, *_environments(comparison), *_detectable(comparison)]


def _environments(comparison: Comparison) -> list[str]:
    """Return which cells of the two runs were made with other versions or machines."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for cell in comparison.cells:
        groups.setdefault(cell.made_with, []).append(cell.id)
    compared = sum(cell.state in ("changed", "unchanged") for cell in comparison.cells)
    return [
        f"made with other {', '.join(differing)}: "
        + ("every cell" if len(names) == compared else ", ".join(names))
        for differing, names in groups.items()
        if differing
    ]


def _detectable(comparison: Comparison) -> list[str]:
    """Return the smallest drop that these images would show, metric by metric."""
    found: dict[str, list[float]] = {}
    for cell in comparison.cells:
        for change in cell.changes:
            if change.detectable is not None:
                found.setdefault(change.metric, []).append(change.detectable)
    return [
        f"smallest drop of {metric} that this data shows in four cases of five: "
        f"{_range(drops, metric)} ({_POWER})"
        for metric, drops in found.items()
    ]


def _range(values: Sequence[float], metric: str) -> str:
    unit = number_named(metric).unit
    ends = dict.fromkeys(f"{unit.scale * end:.2f}" for end in (min(values), max(values)))
    return f"{' to '.join(ends)} {unit.word}" + (", by cell" if len(ends) > 1 else "")


def _gate_lines(comparison: Comparison) -> list[str]:
    lines = []
    for gate in comparison.gates:
        lines.append(f"gate {gate.gate!r}: {'passed' if gate.passed else 'FAILED'}")
        lines += [f"  {name}: {shown}" for name, shown in gate.offenders]
    return lines


TEXTS: dict[str, Callable[[Comparison], str]] = {
    "md": comparison_markdown,
    "junit": comparison_junit,
    "json": comparison_json,
}
