"""The options of `posebench.score`: a request from keywords, by the words of the command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from posebench.datasets.choices import AREA_RULES, AreaRule
from posebench.errors import UsageError, nearest
from posebench.scoring.files import ScoreRequest
from posebench.scoring.formats.formats import FORMAT_CHOICES, FormatChoice
from posebench.scoring.matching.metrics import CROWD_SPLITS, CrowdSplit
from posebench.scoring.statistics.estimates import Resampling
from posebench.scoring.statistics.intervals import INTERVALS, IntervalKind


class ScoreOptions(TypedDict, total=False):
    """The options of `posebench score` that have a default, as keywords."""

    dataset: str | None
    format: FormatChoice
    category: str | None
    area_rule: AreaRule | None
    crowd_split: CrowdSplit
    official: bool
    replicates: int
    seed: int
    interval: IntervalKind


_NAMES: Mapping[str, tuple[str, ...]] = {
    "format": FORMAT_CHOICES,
    "area_rule": AREA_RULES,
    "crowd_split": tuple(CROWD_SPLITS),
    "interval": INTERVALS,
}
_RESAMPLING = ("replicates", "seed", "interval")


def score_request(
    predictions: tuple[Path, ...], annotations: Path, options: Mapping[str, Any]
) -> ScoreRequest:
    """Return what to score.

    Raises `UsageError` for an option or a name that is not known.
    """
    if not predictions:
        raise UsageError("There is no results file to score.")
    for name, value in options.items():
        if name not in ScoreOptions.__annotations__:
            what = f"score has no option {name!r}."
            raise UsageError(what, hint=nearest(name, ScoreOptions.__annotations__))
        if name in _NAMES and value is not None and value not in _NAMES[name]:
            raise UsageError(f"{name} {value!r} is not known.", hint=nearest(value, _NAMES[name]))
    resampling = Resampling(**{name: options[name] for name in _RESAMPLING if name in options})
    rest = {name: value for name, value in options.items() if name not in _RESAMPLING}
    return ScoreRequest(predictions, annotations, resampling=resampling, **rest)
