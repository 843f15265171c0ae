"""The numbers that evaluators report, as records: what is averaged, where, at which threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from posebench.datasets.choices import Kind

CrowdSplit = Literal["code", "paper"]
# crowdIndex where medium and hard begin: the evaluators' code, and the CrowdPose paper.
CROWD_SPLITS: dict[CrowdSplit, tuple[float, float]] = {"code": (0.2, 0.8), "paper": (0.1, 0.8)}


@dataclass(frozen=True)
class Subset:
    """Part of the persons: an area range by name, and images by crowdIndex, low end included."""

    area: str = "all"
    crowd_index: tuple[float, float] | None = None


@dataclass(frozen=True)
class MatchMetric:
    """Average precision or recall over all thresholds, or at one, in a subset.

    `decimals` is how the evaluator rounds the value it reports, None for not at all; `part` is the
    part of a whole body that counts, None for all keypoints.
    """

    name: str
    measure: Literal["precision", "recall"]
    threshold: float | None = None
    subset: Subset = Subset()
    decimals: int | None = None
    part: str | None = None


def _area_metrics(measure: Literal["precision", "recall"], name: str) -> tuple[MatchMetric, ...]:
    return (
        MatchMetric(name, measure),
        MatchMetric(f"{name}50", measure, 0.5),
        MatchMetric(f"{name}75", measure, 0.75),
        MatchMetric(f"{name}(M)", measure, subset=Subset("medium")),
        MatchMetric(f"{name}(L)", measure, subset=Subset("large")),
    )


COCO_METRICS = (*_area_metrics("precision", "AP"), *_area_metrics("recall", "AR"))


def crowdpose_metrics(split: CrowdSplit = "code") -> tuple[MatchMetric, ...]:
    """Return CrowdPose's nine numbers; the names of strata split as in its paper say so.

    A crowdIndex may exceed 1. xtcocotools rounds the three strata to 4 decimals.
    """
    low, high = CROWD_SPLITS[split]
    label = "" if split == "code" else f", {low:g}/{high:g}"
    strata = {"easy": (-float("inf"), low), "medium": (low, high), "hard": (high, float("inf"))}
    return (
        *_area_metrics("precision", "AP")[:3],
        *_area_metrics("recall", "AR")[:3],
        *(
            MatchMetric(
                f"AP({name}{label})", "precision", subset=Subset(crowd_index=span), decimals=4
            )
            for name, span in strata.items()
        ),
    )


# Parts of COCO-WholeBody's persons, as its tables name them; `AP` and `AR` alone are of the whole.
_BODY_PARTS = ("body", "foot", "face", "left hand", "right hand")


def _of_part(metric: MatchMetric, part: str) -> MatchMetric:
    """Return the metric of a part: `AP(face)`, `AP50(face)`, `AP(face, M)`."""
    kind, _, area = metric.name.partition("(")
    inside = f"{part}, {area.rstrip(')')}" if area else part
    return replace(metric, name=f"{kind}({inside})", part=part)


WHOLE_BODY_METRICS = (
    *COCO_METRICS,
    *(_of_part(metric, part) for part in _BODY_PARTS for metric in COCO_METRICS),
)
MATCH_METRICS: dict[Kind, tuple[MatchMetric, ...]] = {
    "coco": COCO_METRICS,
    "crowdpose": crowdpose_metrics(),
    "wholebody": WHOLE_BODY_METRICS,
    "distance": (),
}


@dataclass(frozen=True)
class Metrics:
    """Fractions 0-1 by name, exactly as `evaluator` reports them.

    None if the data set has no instance of that kind (official evaluators say -1).
    """

    values: Mapping[str, float | None]
    evaluator: str


def mean_of_categories(values: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of each metric over the categories that have it, as evaluators take it."""
    if len(values) == 1:
        return dict(values[0])
    means: dict[str, float | None] = {}
    for name in values[0]:
        known = [value for row in values if (value := row[name]) is not None]
        means[name] = sum(known) / len(known) if known else None
    return means
