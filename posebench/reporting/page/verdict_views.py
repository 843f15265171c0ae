"""Verdicts as the page shows them, each with its interval drawn against the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from markupsafe import Markup

from posebench.judging.verdicts import LEVEL, Verdict
from posebench.reporting.figures.effects import VERDICT_INCHES, reach_of, verdict_panel
from posebench.reporting.figures.inline import panel_svg
from posebench.reporting.page.contents import DataTable, plain_table
from posebench.reporting.tables.verdict_table import (
    effect_text,
    evidence_text,
    interval_text,
    limits_of,
    scope_text,
)
from posebench.reporting.texts import p_text
from posebench.results.numbers import number_named
from posebench.scoring.units import POINTS
from posebench.suites.claims import Claim

ICONS: Mapping[str, str] = MappingProxyType(
    {
        "supported": "✔",
        "refuted": "✘",
        "inconclusive": "?",
        "not comparable": "≠",
        "untested": "○",
    }
)


@dataclass(frozen=True)
class VerdictView:
    """A verdict in texts; `effects` are those of single pairs, `drawing` its interval.

    `scope` says what it is about, `limit` what it shows nothing of; both None without an effect.
    `why` is the reason in a few words, where that is the number of claims.
    """

    verdict: Verdict
    icon: str
    effect: str
    interval: str
    p: str
    evidence: str
    rule: str
    scope: str | None
    limit: str | None
    drawing: Markup | None
    effects: DataTable | None
    why: str | None


def verdict_views(verdicts: Sequence[Verdict]) -> list[VerdictView]:
    """Return how verdicts are shown: those of one unit share one scale."""
    reaches: dict[str, float] = {}
    for verdict in verdicts:
        unit = number_named(verdict.claim.metric).unit.word
        reaches[unit] = max(reaches.get(unit, 0.0), reach_of(verdict))
    return [
        _view(verdict, place, reaches[number_named(verdict.claim.metric).unit.word])
        for place, verdict in enumerate(verdicts, 1)
    ]


def _view(verdict: Verdict, place: int, reach: float) -> VerdictView:
    """Return how a verdict is shown; `place` numbers it on the page."""
    effects = None
    if verdict.effects:
        scale = number_named(verdict.claim.metric).unit.scale
        effects = plain_table(
            "Effect of each pair",
            [("pair shares", False), ("effect", True)],
            [(shares, f"{scale * effect:+.2f}") for shares, effect in verdict.effects],
        )
    return VerdictView(
        verdict=verdict,
        icon=ICONS[verdict.verdict],
        effect=effect_text(verdict),
        interval=interval_text(verdict),
        p=p_text(verdict.p_holm),
        evidence=evidence_text(verdict),
        rule=_rule(verdict.claim),
        scope=scope_text(verdict) if verdict.effects else None,
        limit=" ".join(limits_of([verdict])) or None,
        drawing=_drawing(verdict, place, reach),
        effects=effects,
        why=_why(verdict),
    )


def _why(verdict: Verdict) -> str | None:
    """Say so if a verdict is inconclusive only because there are several claims."""
    if verdict.verdict != "inconclusive" or verdict.p is None or verdict.p_holm is None:
        return None
    if verdict.p >= LEVEL or verdict.p_holm < LEVEL:
        return None
    return f"p {verdict.p_holm:.2g} after Holm, {verdict.p:.2g} alone"


def tally(verdicts: Sequence[Verdict]) -> list[tuple[str, str, int]]:
    """Return icon, word and number of each kind of verdict there is."""
    words = [verdict.verdict for verdict in verdicts]
    return [(icon, word, words.count(word)) for word, icon in ICONS.items() if word in words]


def _rule(claim: Claim) -> str:
    shown = number_named(claim.metric).unit
    unit = f"points of {claim.metric}" if shown == POINTS else shown.word
    margin = f"{shown.scale * claim.margin:g}"
    if claim.direction == "within":
        return f"Supported by an effect within ±{margin} {unit}."
    word, sign = ("above", "+") if claim.direction == "greater" else ("below", "−")
    return f"Supported by an effect {word} {sign if claim.margin else ''}{margin} {unit}."


def _drawing(verdict: Verdict, place: int, reach: float) -> Markup | None:
    panel = verdict_panel(verdict, reach)
    return None if panel is None else panel_svg(panel, VERDICT_INCHES, f"verdict-{place}")
