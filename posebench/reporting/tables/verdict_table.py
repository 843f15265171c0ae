"""What `posebench claims` does: judge a run's claims and show the verdicts. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from posebench.judging.evidence_kinds import EVIDENCE_KINDS
from posebench.judging.verdicts import Verdict
from posebench.reporting.text_tables import cell_text, terminal_table
from posebench.reporting.texts import NO_VALUE, of_metric, p_text
from posebench.results.numbers import number_named

STYLES = {
    "supported": "green",
    "refuted": "red",
    "inconclusive": "yellow",
    "not comparable": "magenta",
    "untested": "dim",
}


def verdict_table(verdicts: Sequence[Verdict]) -> RenderableType:
    """Return the verdicts for the terminal: a table, then what each claim says and rests on."""
    table = terminal_table(
        ("claim", "verdict", "effect", "95 % interval", "p (Holm)"),
        [
            (
                verdict.claim.id,
                Text(verdict.verdict, style=STYLES[verdict.verdict]),
                effect_text(verdict),
                interval_text(verdict),
                p_text(verdict.p_holm),
            )
            for verdict in verdicts
        ],
        words=5,
    )
    grounds = Table.grid(padding=(0, 1))
    for verdict in verdicts:
        said = f"{verdict.claim.statement} ({evidence_text(verdict)})"
        grounds.add_row(cell_text(f"{verdict.claim.id}:"), cell_text(said))
    return Group(table, Text(), grounds)


def effect_text(verdict: Verdict) -> str:
    """Show an effect in its metric's unit, with what it is per."""
    if verdict.effect is None:
        return NO_VALUE
    per = "" if verdict.claim.trend is None else f" per doubling of {verdict.claim.trend}"
    unit = number_named(verdict.claim.metric).unit
    return f"{unit.signed(verdict.effect)} {of_metric(verdict.claim.metric)}{per}"


def interval_text(verdict: Verdict) -> str:
    """Show an interval in the metric's unit."""
    if verdict.low is None or verdict.high is None:
        return NO_VALUE
    unit = number_named(verdict.claim.metric).unit
    return f"{unit.signed(verdict.low)} to {unit.signed(verdict.high)}"


def evidence_text(verdict: Verdict) -> str:
    """Show what a verdict rests on, or why there is none."""
    if not verdict.effects:
        return verdict.reason or NO_VALUE
    note = EVIDENCE_KINDS[verdict.claim.evidence].note
    parts = [note] if note is not None else []
    parts += [f"{len(verdict.effects)} pair{'s' * (len(verdict.effects) != 1)}"]
    parts += [f"{verdict.images} images"] if verdict.images else []
    parts += [f"{verdict.seeds} seed{'s' * (verdict.seeds != 1)}"] if verdict.seeds else []
    parts += [f"{len(verdict.left_out)} left out"] if verdict.left_out else []
    parts += [verdict.reason] if verdict.reason else []
    return ", ".join(parts) + confounds_text(verdict)


def confounds_text(verdict: Verdict) -> str:
    """Return what goes on from a verdict on published networks: in what else they differ."""
    if not verdict.confounds:
        return ""
    subject = "the pair also differs" if len(verdict.effects) == 1 else "the pairs also differ"
    return f"; but {subject} in {', '.join(verdict.confounds)}"
