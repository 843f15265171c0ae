"""A result's numbers, each listed once: tables, claims, gates, frames and figures read this list.

The metrics of predictions come from `scoring.METRICS`. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from posebench.results.cell import CellResult
from posebench.results.probe_numbers import PROBE_NUMBERS
from posebench.results.speed import Measured, Speed
from posebench.scoring.metrics import METRICS, Better, Metric
from posebench.scoring.statistics.image_table import ErrorMetric, Recipe
from posebench.scoring.units import Unit
from posebench.suites.claims import RUNS

NumberKind = Literal["score", "network", "speed"]
AP = "AP"


@dataclass(frozen=True)
class Number:
    """What is known of one number of a result.

    A `score` says what predictions are worth, chance moves no `network` number, and a `speed` is of
    one machine under its conditions. `read` returns the number in its own scale: scores are
    fractions 0-1, which `unit` shows in points. `repeats` returns the measurements of a number that
    was measured several times. `recipe` computes the number, and so its bootstrap replicates, from
    a cell's per-image table. No value is larger than `most`.
    """

    kind: NumberKind
    unit: Unit
    better: Better | None
    read: Callable[[CellResult], float | None]
    repeats: Callable[[CellResult], Measured | None] | None = None
    recipe: Recipe | None = None
    most: float = math.inf


def _score(name: str, metric: Metric) -> Number:
    return Number(
        "score",
        metric.unit,
        metric.better,
        lambda result: (result.metrics or {}).get(name),
        recipe=metric.recipe,
        most=metric.most,
    )


def _single(unit: Unit, better: Better, of: Callable[[Speed], float | None]) -> Number:
    """Return a number that `posebench bench` measures once."""
    return Number("speed", unit, better, lambda r: None if r.speed is None else of(r.speed))


def _repeated(
    unit: Unit,
    better: Better,
    of: Callable[[Speed], Measured | None],
    otherwise: Callable[[CellResult], float | None] = lambda _: None,
) -> Number:
    """Return a number that `posebench bench` measures several times.

    If a result has no speed, `otherwise` reads the number.
    """

    def repeats(result: CellResult) -> Measured | None:
        return None if result.speed is None else of(result.speed)

    def read(result: CellResult) -> float | None:
        found = repeats(result)
        if result.speed is None:
            return otherwise(result)
        return None if found is None else found.value

    return Number("speed", unit, better, read, repeats)


def _best_rate(speed: Speed) -> Measured | None:
    return None if speed.best is None else speed.best.crops_per_second


def _peak(speed: Speed) -> float | None:
    """Return the peak megabytes of the accelerator, or else of the process."""
    peak = speed.memory.device or speed.memory.process
    return peak and peak / 1e6


def _parameters(result: CellResult) -> float | None:
    count = result.checkpoint.parameters
    return None if count is None else count / 1e6


_MS = Unit("ms", decimals=2)
_PER_SECOND = Unit("instances/s")

NUMBERS: Mapping[str, Number] = MappingProxyType(
    {
        **{name: _score(name, metric) for name, metric in METRICS.items()},
        RUNS: Number(
            "network",
            Unit("of cells", decimals=2),
            "higher",
            lambda result: {"ok": 1.0, "unsupported": 0.0}.get(result.status),
        ),
        "params M": Number("network", Unit("M", decimals=2), "lower", _parameters),
        "GFLOPs": Number(
            "network",
            Unit("GFLOPs", decimals=2, decimals_below_one=3),
            "lower",
            lambda result: result.gflops,
        ),
        "latency ms": _repeated(_MS, "lower", lambda speed: speed.latency.p50),
        "p90 ms": _single(_MS, "lower", lambda speed: speed.latency.p90),
        "p99 ms": _single(_MS, "lower", lambda speed: speed.latency.p99),
        "crops/s": _repeated(Unit("crops/s"), "higher", _best_rate),
        "data inst/s": _repeated(_PER_SECOND, "higher", lambda speed: speed.without_network),
        "inst/s": _repeated(
            _PER_SECOND,
            "higher",
            lambda speed: speed.end_to_end,
            lambda result: result.instances_per_second,
        ),
        "% of limit": _single(
            Unit("%", decimals=0),
            "higher",
            lambda speed: speed.share_of_limit and 100 * speed.share_of_limit,
        ),
        "peak MB": _single(Unit("MB", decimals=0), "lower", _peak),
    }
)


def main_metric(results: Iterable[CellResult]) -> str:
    """Return the number that results are known by: AP, or the first one of data without AP."""
    known = [result.metrics for result in results if result.metrics]
    if not known or any(AP in metrics for metrics in known):
        return AP
    return next(iter(known[0]))


def main_metrics(results: Iterable[CellResult]) -> tuple[str, ...]:
    """Return the numbers that results are known by, each by its own; AP if none was measured."""
    found = dict.fromkeys(main_metric([result]) for result in results if result.metrics)
    return tuple(found) or (AP,)


def number_named(name: str) -> Number:
    """Return what is known of a number; one that is not listed is a keypoint's PCK@0.1."""
    if name in PROBE_NUMBERS:
        probed = PROBE_NUMBERS[name]
        # No result of a cell has it.
        return Number("score" if probed.sampled else "network", probed.unit, None, lambda _: None)
    return NUMBERS.get(name) or _score(name, Metric(ErrorMetric(name, 0.1, keypoint=name)))


def numbers_of(
    result: CellResult, keypoints: Mapping[str, float | None] = MappingProxyType({})
) -> dict[str, float | None]:
    """Return a result's numbers by name: scores, keypoints' PCK, those of network and of speed."""
    others = {name: number for name, number in NUMBERS.items() if number.kind != "score"}
    return {
        **(result.metrics or {}),
        **keypoints,
        **{name: number.read(result) for name, number in others.items()},
    }


def bounds_of(result: CellResult, name: str) -> tuple[float, float] | None:
    """Return the ends of a number's interval, or None if it has none."""
    if result.intervals is None:
        return None
    low, high = result.intervals.low.get(name), result.intervals.high.get(name)
    return None if low is None or high is None else (low, high)
