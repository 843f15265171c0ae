"""What `posebench claims` does: judge a run's claims and show the verdicts. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from posebench.judging.evidence_kinds import EVIDENCE_KINDS
from posebench.judging.verdicts import OnOneDataSet, Verdict
from posebench.reporting.text_tables import cell_text, terminal_table
from posebench.reporting.texts import NO_VALUE, of_metric, p_text
from posebench.results.numbers import number_named
from posebench.scoring.units import Unit

# Names of claims up to this length stand beside what the claims say.
_SHORT = 24
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
    limits = [Text(line) for line in limits_of(verdicts)]
    return Group(table, Text(), _grounds(verdicts), *([Text(), *limits] if limits else []))


def _grounds(verdicts: Sequence[Verdict]) -> RenderableType:
    """Return what each claim says and rests on, beside its name, or below a long one."""
    if any(len(verdict.claim.id) > _SHORT for verdict in verdicts):
        return Group(
            *(
                part
                for verdict in verdicts
                for part in (
                    cell_text(f"{verdict.claim.id}: {verdict.claim.statement}"),
                    Padding(cell_text(verdict_line(verdict)), (0, 0, 0, 2)),
                )
            )
        )
    grounds = Table.grid(padding=(0, 1))
    for verdict in verdicts:
        grounds.add_row(cell_text(f"{verdict.claim.id}:"), cell_text(verdict.claim.statement))
        grounds.add_row(Text(), cell_text(verdict_line(verdict)))
    return grounds


def limits_of(verdicts: Sequence[Verdict]) -> list[str]:
    """Return what the verdicts of each scope show nothing of."""
    lines = {
        f"A verdict {_for(verdict)} shows nothing of {verdict.not_shown}.": None
        for verdict in verdicts
        if verdict.not_shown is not None
    }
    if any(verdict.verdict == "inconclusive" for verdict in verdicts):
        lines["Inconclusive means not told apart, which is not equal."] = None
    return list(lines)


def verdict_line(verdict: Verdict) -> str:
    """Show a verdict in one line: word and scope, effect with interval, what it rests on."""
    if verdict.effect is None:
        return f"{verdict.verdict}: {verdict.reason}" if verdict.reason else verdict.verdict
    said = [f"{verdict.verdict} {_for(verdict)}", _effect_with_interval(verdict)]
    return " · ".join([*said, evidence_text(verdict)])


def scope_text(verdict: Verdict) -> str:
    """Show what a verdict is about."""
    if verdict.scope is None:
        return EVIDENCE_KINDS[verdict.claim.evidence].note or NO_VALUE
    return "the paradigm" if verdict.scope == "paradigm" else verdict.scope


def _for(verdict: Verdict) -> str:
    return f"{'for' if verdict.scope else 'by'} {scope_text(verdict)}"


def _effect_with_interval(verdict: Verdict) -> str:
    chance = [] if verdict.low is None else [f"95 % {interval_text(verdict)}"]
    chance += [f"p {p_text(verdict.p)}"] if verdict.p is not None else []
    if chance and verdict.p_holm != verdict.p:
        chance[-1] += f", Holm {p_text(verdict.p_holm)}"
    return effect_text(verdict) + (f" ({'; '.join(chance)})" if chance else "")


def effect_text(verdict: Verdict) -> str:
    """Show an effect in its metric's unit, with what it is per."""
    if verdict.effect is None:
        return NO_VALUE
    per = "" if verdict.claim.trend is None else f" per doubling of {verdict.claim.trend}"
    unit = number_named(verdict.claim.metric).unit
    return f"{unit.signed(verdict.effect)} {of_metric(verdict.claim.metric)}{per}".rstrip()


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
    parts = [_sample_text(verdict), *_parts_text(verdict), *_chance_texts(verdict)]
    parts += [f"{len(verdict.left_out)} left out"] if verdict.left_out else []
    parts += [verdict.reason] if verdict.reason else []
    return " · ".join(parts) + confounds_text(verdict)


def _sample_text(verdict: Verdict) -> str:
    """Show seeds, pairs and what was resampled."""
    pairs = _counted(len(verdict.effects), "pair")
    if verdict.unpaired_seeds:
        pairs = f"{' + '.join(map(str, verdict.unpaired_seeds))} seeds, not paired, {pairs}"
    elif verdict.seeds:
        pairs = f"{_counted(verdict.seeds, 'seed')} × {pairs}"
    if verdict.keypoint_pairs:
        return f"{pairs}, {verdict.keypoint_pairs} left/right pairs of keypoints"
    return pairs + (f", {verdict.images} images" if verdict.images else "")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _parts_text(verdict: Verdict) -> list[str]:
    """Show what the pairs, the data sets and the seeds say, each where there are several."""
    unit, parts = number_named(verdict.claim.metric).unit, []
    if len(verdict.effects) > 1 and verdict.pairs_agree is not None:
        parts.append(f"{verdict.pairs_agree} of {len(verdict.effects)} pairs agree")
    if verdict.by_dataset:
        single = [_part_text(part, unit) for part in verdict.by_dataset]
        word = "both" if len(single) == 2 else f"all {len(single)}"
        parts.append(f"{'; '.join(single)}; on {word} p {p_text(verdict.p)}")
    if verdict.by_seed and not verdict.by_dataset:
        effects = " ".join(unit.signed(effect) for _, effect in verdict.by_seed)
        parts.append(f"per seed {effects}")
    return parts


def _part_text(part: OnOneDataSet, unit: Unit) -> str:
    """Show the verdict on one data set."""
    seeds = " ".join(unit.signed(effect) for _, effect in part.by_seed)
    known = [f"p {p_text(part.p)}"]
    if part.low is not None and part.high is not None:
        known.insert(0, f"95 % {unit.signed(part.low)} to {unit.signed(part.high)}")
    if part.p_holm != part.p:
        known.append(f"Holm {p_text(part.p_holm)}")
    text = f"{part.dataset}: {part.verdict}, {unit.signed(part.effect)} ({', '.join(known)})"
    return f"{text}, per seed {seeds}" if len(part.by_seed) > 1 else text


def _chance_texts(verdict: Verdict) -> list[str]:
    """Show what could have been told, and what longer training adds."""
    unit, texts = number_named(verdict.claim.metric).unit, []
    # What is printed as nothing is left out, such as noise that cannot be told from none: to tell
    # "0.0" apart is no promise.
    if verdict.detectable is not None and _is_seen(verdict.detectable.now, unit):
        more = {
            "10 seeds": verdict.detectable.with_10_seeds,
            "endless seeds": verdict.detectable.with_endless_seeds,
        }
        planned = [
            f"{name} {unit.text(each)}"
            for name, each in more.items()
            if each is not None and _is_seen(each, unit)
        ]
        text = f"could tell {unit.text(verdict.detectable.now)} apart"
        texts.append(text + (f" ({', '.join(planned)})" if planned else ""))
    longer = [
        f"longer training adds {unit.signed(gain)} ({name})" for name, gain in verdict.plateau
    ]
    return [*texts, *longer]


def _is_seen(value: float, unit: Unit) -> bool:
    return unit.text(value) != unit.text(0.0)


def confounds_text(verdict: Verdict) -> str:
    """Return what goes on from a verdict: in what else published networks or trainings differ."""
    one, text = len(verdict.effects) == 1, ""
    if verdict.confounds:
        subject = "the pair also differs" if one else "the pairs also differ"
        text += f"; but {subject} in {', '.join(verdict.confounds)}"
    if verdict.undeclared:
        subject = "the pair's trainings differ" if one else "the pairs' trainings differ"
        text += f"; {subject} in {', '.join(verdict.undeclared)}, and no `factor` is declared"
    return text
