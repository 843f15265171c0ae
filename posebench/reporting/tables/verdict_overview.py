"""Verdicts of runs as one Markdown table: a row for each claim, a column for each data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from posebench.judging.evidence_kinds import EVIDENCE_KINDS
from posebench.judging.verdicts import Verdict
from posebench.reporting.escaping import for_markdown
from posebench.reporting.tables.verdict_table import effect_text, interval_text, limits_of
from posebench.reporting.texts import NO_VALUE, natural

PUBLISHED, NOT_JUDGED = "published figures", "not judged"
_HEADERS = ("source", "claim", "it says")


def verdict_overview(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a Markdown table by source, with what they do not show below it.

    A claim that several runs answer alike is one row.
    """
    by_source = sorted(verdicts, key=lambda verdict: natural(verdict.claim.source or ""))
    rows = [(verdict, _by_place(verdict)) for verdict in by_source]
    places = sorted(
        dict.fromkeys(place for _, found in rows for place in found),
        key=lambda place: (place != PUBLISHED, place == NOT_JUDGED),
    )
    lines = [_row([*_HEADERS, *places]), _row(["---"] * (len(_HEADERS) + len(places)))]
    for verdict, found in rows:
        claim = verdict.claim
        texts = [claim.source or NO_VALUE, claim.id, claim.statement]
        texts += [found.get(place, NO_VALUE) for place in places]
        lines.append(_row([for_markdown(text) for text in texts]))
    return "\n\n".join(["\n".join(dict.fromkeys(lines)), *limits_of(verdicts)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _by_place(verdict: Verdict) -> dict[str, str]:
    """Return what is said of each data set, or by published figures."""
    if verdict.effect is None:
        return {NOT_JUDGED: verdict.verdict}
    if not EVIDENCE_KINDS[verdict.claim.evidence].sampled:
        return {PUBLISHED: _said(verdict)}
    if not verdict.by_dataset:
        return dict.fromkeys(verdict.datasets, _said(verdict))
    return {
        part.dataset: _said(
            replace(verdict, verdict=part.verdict, effect=part.effect, low=part.low, high=part.high)
        )
        for part in verdict.by_dataset
    }


def _said(verdict: Verdict) -> str:
    """Show word, effect, interval, and what a verdict is about."""
    interval = interval_text(verdict)
    text = f"{verdict.verdict}, {effect_text(verdict)}"
    text += "" if interval == NO_VALUE else f" ({interval})"
    seeds = f"{verdict.seeds} seeds" if verdict.scope == "paradigm" else verdict.scope
    return text if seeds is None else f"{text}, {seeds}"
