"""What `posebench claims` does: judge a run's claims and show the verdicts. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from posebench.judging.verdicts import Verdict
from posebench.reporting.texts import NO_VALUE, p_text
from posebench.suites.claims import RUNS

STYLES = {
    "supported": "green",
    "refuted": "red",
    "inconclusive": "yellow",
    "not comparable": "magenta",
    "untested": "dim",
}


def verdict_table(verdicts: Sequence[Verdict]) -> RenderableType:
    """Return the verdicts for the terminal: a table, then what each claim says and rests on."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("claim", "verdict", "effect", "95 % interval", "p (Holm)"):
        table.add_column(header, no_wrap=header != "effect")
    for verdict in verdicts:
        table.add_row(
            Text(verdict.claim.id),
            Text(verdict.verdict, style=STYLES[verdict.verdict]),
            Text(effect_text(verdict)),
            interval_text(verdict),
            p_text(verdict.p_holm),
        )
    grounds = Table.grid(padding=(0, 1))
    for verdict in verdicts:
        said = f"{verdict.claim.statement} ({evidence_text(verdict)})"
        grounds.add_row(Text(f"{verdict.claim.id}:"), Text(said))
    return Group(table, Text(), grounds)


def effect_text(verdict: Verdict) -> str:
    """Show an effect in points, with what it is per; of `runs`, as a share of cells."""
    if verdict.effect is None:
        return NO_VALUE
    if verdict.claim.metric == RUNS:
        return f"{verdict.effect:+.2f} of cells"
    per = "" if verdict.claim.trend is None else f" per doubling of {verdict.claim.trend}"
    return f"{100 * verdict.effect:+.1f} {verdict.claim.metric}{per}"


def interval_text(verdict: Verdict) -> str:
    """Show an interval in points."""
    if verdict.low is None or verdict.high is None:
        return NO_VALUE
    return f"{100 * verdict.low:+.1f} to {100 * verdict.high:+.1f}"


def evidence_text(verdict: Verdict) -> str:
    """Show what a verdict rests on, or why there is none."""
    if not verdict.effects:
        return verdict.reason or NO_VALUE
    parts = ["published figures"] if verdict.claim.evidence == "published" else []
    parts += [f"{len(verdict.effects)} pair{'s' * (len(verdict.effects) != 1)}"]
    parts += [f"{verdict.images} images"] if verdict.images else []
    parts += [f"{verdict.seeds} seed{'s' * (verdict.seeds != 1)}"] if verdict.seeds else []
    parts += [f"{len(verdict.left_out)} left out"] if verdict.left_out else []
    parts += [verdict.reason] if verdict.reason else []
    return ", ".join(parts)
