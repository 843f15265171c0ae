"""The metrics by distance, by name: what is measured, relative to what, averaged how.

Definitions are those of `mmpose/evaluation/metrics/keypoint_2d_metrics.py` of MMPose 1.3.2, and of
MPII's Matlab evaluation, which MMPose's `MpiiPCKAccuracy` follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from posebench.scoring.statistics.image_table import DistanceMetric

# What MMPose's `AUC` divides by.
AUC_PIXELS = 30.0

# Head, then pairs of a left and a right joint; pelvis and thorax are left out.
_MPII_JOINTS = {
    "head": ("head_top",),
    **{
        name: (f"left_{name}", f"right_{name}")
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    },
}
_JHMDB_JOINTS = {**_MPII_JOINTS, "head": ("head",)}
_PCKH = tuple(
    DistanceMetric(
        f"PCKh@{threshold:g}",
        "head",
        "share",
        threshold,
        keypoints=("upper_neck", *(name for pair in _MPII_JOINTS.values() for name in pair)),
        pooled=True,
    )
    for threshold in (0.5, 0.1)
)
_PCKH_JOINTS = tuple(
    DistanceMetric(f"PCKh@{threshold:g}({joint})", "head", "share", threshold, names)
    for threshold in (0.5, 0.1)
    for joint, names in _MPII_JOINTS.items()
)
_JHMDB = tuple(
    DistanceMetric(
        f"PCK({size}, {joint})" if joint else f"PCK({size})",
        "box" if size == "person" else "torso",
        "share",
        0.2,
        names,
    )
    for size in ("person", "torso")
    for joint, names in [("", None), *_JHMDB_JOINTS.items()]
)
_HANDS = (
    *(
        DistanceMetric(f"mPCK@{threshold:g}", "box", "share", threshold)
        for threshold in (0.05, 0.1, 0.2)
    ),
    DistanceMetric("AUC", f"{AUC_PIXELS:g} pixels", "area"),
    DistanceMetric("EPE", "pixels", "mean", pooled=True),
)
DISTANCE_METRICS: Mapping[str, DistanceMetric] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            *_PCKH,
            *_PCKH_JOINTS,
            *_JHMDB,
            *_HANDS,
            DistanceMetric("NME", "face", "mean", pooled=True),
        )
    }
)
