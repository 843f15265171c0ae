"""An explanation as text for the terminal: both numbers, what differs, and what remains."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from posebench.reporting.text_tables import TextTable, cell_text, terminal_table
from posebench.reporting.texts import NO_VALUE, estimate_text, points
from posebench.results.explaining.explanation import Explanation, SideFacts, Step
from posebench.scoring.statistics.estimates import Estimate


def explanation_table(found: Explanation) -> RenderableType:
    """Return both sides, the steps from theirs to mine, the signs in the poses, and notes."""
    parts: list[RenderableType] = [
        cell_text(_side("OTHER", found.theirs)),
        cell_text(_side("MINE", found.mine)),
    ]
    if found.total is not None:
        parts += [Text(), _steps_table(found)]
    if found.signs:
        parts += [Text(), _signs_table(found)]
    return Group(*parts, Text(), *map(cell_text, _notes(found)))


def _side(label: str, side: SideFacts) -> str:
    about = f" ({side.about})" if side.about else ""
    return f"{label} = {side.name}, {side.kind} {side.source}{about}: AP {points(side.ap)}"


def _steps_table(found: Explanation) -> TextTable:
    header = ["", "OTHER", "MINE", "AP", "known from"]
    rows = [["OTHER", "", "", points(found.theirs.ap), ""]]
    rows += [_line(step) for step in found.steps]
    rows.append(["unexplained", "", "", change_text(found.rest), ""])
    rows.append(["MINE", "", "", points(found.mine.ap), ""])
    return terminal_table(header, rows, ["", "OTHER", "MINE", "known from"])


def _line(step: Step) -> list[str]:
    known = step.source if step.how != "not measured" else f"not measured: {step.source}"
    how = known.removesuffix(": ")
    return [step.field, step.theirs, step.mine, change_text(step.effect), how]


def change_text(effect: Estimate | None) -> str:
    """Show a change of AP in points with its interval, if it has one."""
    if effect is None or effect.value is None:
        return NO_VALUE
    return estimate_text(effect.value, effect.interval, signed=True)


def _signs_table(found: Explanation) -> TextTable:
    header = ["sign", "explains", "AP then", "what it says"]
    rows = [[sign.cause, _share(sign.explains), points(sign.ap), sign.text] for sign in found.signs]
    return terminal_table(header, rows, ["sign", "what it says"])


def _share(value: float | None) -> str:
    return NO_VALUE if value is None else f"{100 * value:.0f} %"


def _notes(found: Explanation) -> Sequence[str]:
    notes = ["AP in points; effects go from OTHER to MINE, each with the other fields as they are"]
    if found.rest is not None and found.rest.low is not None:
        notes.append("brackets: 95 %, from resampled images, the same for all that was measured")
    if found.not_said:
        notes.append(f"stated of one side alone: {', '.join(found.not_said)}")
    if not found.steps and not found.signs:
        notes.append("nothing that both state differs, and the poses show no sign")
    return [*notes, *found.notes]
