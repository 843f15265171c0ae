"""Verdicts as the page shows them, each with its interval drawn against the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from markupsafe import Markup

from posebench.judging.verdicts import Verdict
from posebench.reporting.page.contents import DataTable, plain_table
from posebench.reporting.page.drawing.axes import Scale
from posebench.reporting.page.drawing.svg import line, mark, picture, text
from posebench.reporting.texts import p_text
from posebench.reporting.verdict_table import effect_text, evidence_text, interval_text
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
_WIDTH, _HEIGHT = 300.0, 56.0


@dataclass(frozen=True)
class VerdictView:
    """A verdict in texts; `effects` are those of single pairs, `drawing` its interval."""

    verdict: Verdict
    icon: str
    effect: str
    interval: str
    p: str
    evidence: str
    rule: str
    drawing: Markup | None
    effects: DataTable | None


def verdict_view(verdict: Verdict) -> VerdictView:
    """Return how a verdict is shown."""
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
        drawing=_drawing(verdict),
        effects=effects,
    )


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


def _drawing(verdict: Verdict) -> Markup | None:
    """Draw effect and interval on a line with 0 and the margin."""
    if verdict.effect is None:
        return None
    claim = verdict.claim
    scale = number_named(claim.metric).unit.scale
    low, high = (scale * (verdict.effect if v is None else v) for v in (verdict.low, verdict.high))
    signs = {"greater": (1,), "less": (-1,), "within": (-1, 1)}[claim.direction]
    margins = [scale * claim.margin * sign for sign in signs] if claim.margin else []
    reach = 1.15 * max(map(abs, (low, high, *margins)), default=1.0) or 1.0
    across = Scale(-reach, reach, 12.0, _WIDTH - 12.0)
    middle = 22.0
    parts = [line(12, middle, _WIDTH - 12, middle, "grid")]
    parts += [line(across(0), 6, across(0), 38, "axis")]
    parts += [text(across(0), 51, "0", text_anchor="middle")]
    for margin in margins:
        parts.append(line(across(margin), 6, across(margin), 38, "home"))
        parts.append(text(across(margin), 51, f"{margin:+g}", text_anchor="middle"))
    parts += [line(across(low), middle, across(high), middle, "span")]
    parts += [line(across(end), middle - 5, across(end), middle + 5, "span") for end in (low, high)]
    parts += [mark("diamond", across(scale * verdict.effect), middle, "mark verdict")]
    name = f"Effect {effect_text(verdict)}, interval {interval_text(verdict)}"
    return picture(_WIDTH, _HEIGHT, name, *parts, class_="forest")
