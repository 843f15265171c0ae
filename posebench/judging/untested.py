"""Why a claim could not be tested, or what an inconclusive one lacks, in words. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from posebench.errors import nearest
from posebench.judging.contrasts import Contrast, sides_of
from posebench.judging.pairs.cells import ClaimCell, is_selected, pairing_text
from posebench.judging.pairs.matching import pairing_fields
from posebench.scoring.statistics.seeds_and_images import LEAST_SEEDS
from posebench.suites.claims import Claim, Scope, Selector

_MOST_VALUES = 6


def why_untested(claim: Claim, contrast: Contrast, cells: Sequence[ClaimCell]) -> str:
    """Return what kept a claim without pairs from being tested, and how many cells were lost."""
    counts = Counter(cell.lost for cell in cells if cell.lost is not None)
    lost = ", ".join(f"{n} {'cell' if n == 1 else 'cells'} {s}" for s, n in counts.items())
    if counts.total() == len(cells) > 0:
        return f"nothing was measured: {lost}"
    why = _why(claim, contrast, cells)
    return f"{why} ({lost})" if lost else why


def _why(claim: Claim, contrast: Contrast, cells: Sequence[ClaimCell]) -> str:
    metrics = dict.fromkeys(name for cell in cells for name in cell.values)
    if metrics and claim.metric not in metrics:
        return f"no cell has the metric {claim.metric!r}. {nearest(claim.metric, metrics)}"
    if contrast.left_out:
        return f"no pair can be compared: {'; '.join(contrast.left_out)}"
    if not cells:
        return "there are no cells"
    within = [cell for cell in cells if is_selected(cell, claim.at)]
    if not within:
        return _none_has("at", claim.at, cells)
    for part, selector in (("treatment", claim.treatment), ("control", claim.control)):
        if not any(is_selected(cell, selector) for cell in within):
            return _none_has(part, selector, within)
    return what_kept_apart(claim, *sides_of(claim, cells))


def needs_seeds(seeds: int) -> str:
    """Return why so few seeds do not make a verdict on the paradigm."""
    there = f"there {'is' if seeds == 1 else 'are'} {seeds}"
    return f"a verdict on the paradigm needs {LEAST_SEEDS} seeds on either side, {there}"


_NOT_SHOWN: Mapping[Scope, str] = MappingProxyType(
    {
        "these weights": "other trainings, even by the same recipes: seeds were not resampled",
        "paradigm": "other training data, tuning or backbones: "
        "seeds cover initial weights and the order of the data",
    }
)


def what_is_not_shown(scope: Scope | None) -> str:
    """Return what a verdict tells nothing of; published figures have no scope."""
    return (
        "other images or trainings: nothing was resampled" if scope is None else _NOT_SHOWN[scope]
    )


def what_is_lacking(claim: Claim, interval: tuple[float, float], p_holm: float, tests: int) -> str:
    """Return why a claim with an interval stays inconclusive."""
    p = f"p {p_holm:.2g}" + (f" after Holm over {tests} claims" if tests > 1 else "")
    return f"{_place(claim, *interval)}, {p}"


def _place(claim: Claim, low: float, high: float) -> str:
    """Return where an interval lies against the margin."""
    if claim.direction == "within":
        if -claim.margin < low and high < claim.margin:
            return "interval inside the margin"
        outside = high < -claim.margin or low > claim.margin
        return f"interval {'outside' if outside else 'across'} the margin"
    if claim.direction == "less":
        low, high = -high, -low
    border = "the margin" if claim.margin else "0"
    if low > claim.margin:
        return f"interval beyond {border}"
    return f"interval short of {border}" if high < claim.margin else f"interval across {border}"


def _none_has(part: str, selector: Selector, cells: Sequence[ClaimCell]) -> str:
    """Return which field of a selector no cell meets, and what values there are."""
    for name, value in selector.items():
        if not any(is_selected(cell, {name: value}) for cell in cells):
            there = dict.fromkeys(cell.fields[name] for cell in cells if name in cell.fields)
            return (
                f"no cell has {name} {_shown(value)}, which {part} asks for; "
                f"there is {_listed(there) if there else 'no such field'}"
            )
    both = ", ".join(f"{name} {_shown(value)}" for name, value in selector.items())
    return f"no cell has all that {part} asks for: {both}"


def what_kept_apart(
    claim: Claim, treated: Sequence[ClaimCell], controls: Sequence[ClaimCell]
) -> str:
    """Return which field that pairs share leaves no treatment with a control."""
    names = pairing_fields(claim, treated, controls)
    for name in names:
        for part, side in (("treatment", treated), ("control", controls)):
            if not any(pairing_text(cell, name) for cell in side):
                listed = ", which match_by lists" if claim.match_by is not None else ""
                return f"no cell of the {part} has {name}{listed}"
    for name in names:
        one, other = (
            dict.fromkeys(text for cell in side if (text := pairing_text(cell, name)) is not None)
            for side in (treated, controls)
        )
        if not one.keys() & other.keys():
            return f"{name} keeps treatment and control apart ({_listed(one)} / {_listed(other)})"
    return f"no cell of the treatment shares all of {', '.join(names)} with a control"


def _listed(values: Mapping[str, None]) -> str:
    shown = list(values)
    more = [f"{len(shown) - _MOST_VALUES} more"] if len(shown) > _MOST_VALUES else []
    return ", ".join([*shown[:_MOST_VALUES], *more])


def _shown(value: str | bool | tuple[str | bool, ...]) -> str:
    if isinstance(value, tuple):
        return " or ".join(map(_shown, value))
    return ("yes" if value else "no") if isinstance(value, bool) else value
