"""The parts of a whole body, each matched by itself as xtcocotools' `keypoints_*` families do.

A person without a labelled keypoint of a part is ignored there, a detection without a keypoint
score above 0 is left out, and each part is ranked by its own score where results have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from posebench.scoring.matching.detections import Detections, ResultLayout
from posebench.scoring.matching.matching import MatchRules, MatchTable, match
from posebench.scoring.matching.truth import GroundTruth

WHOLE = "whole"


@dataclass(frozen=True)
class BodyPart:
    """Keypoints `first` to `last` - 1; `field` is their list in official files.

    `score_field` is what results may rank by in place of `score`, and `family` what xtcocotools
    calls the part.
    """

    first: int
    last: int
    field: str
    score_field: str
    family: str

    @property
    def keypoints(self) -> slice:
        """Where the part stands among the 133 keypoints."""
        return slice(self.first, self.last)


BODY_PARTS: Mapping[str, BodyPart] = MappingProxyType(
    {
        "body": BodyPart(0, 17, "keypoints", "score", "keypoints_body"),
        "foot": BodyPart(17, 23, "foot_kpts", "foot_score", "keypoints_foot"),
        "face": BodyPart(23, 91, "face_kpts", "face_score", "keypoints_face"),
        "left hand": BodyPart(91, 112, "lefthand_kpts", "lefthand_score", "keypoints_lefthand"),
        "right hand": BodyPart(
            112, 133, "righthand_kpts", "righthand_score", "keypoints_righthand"
        ),
    }
)
WHOLE_FAMILY = "keypoints_wholebody"
RESULT_LAYOUT = ResultLayout(
    area_keypoints=BODY_PARTS["body"].last,
    score_fields={
        **{name: part.score_field for name, part in BODY_PARTS.items() if name != "body"},
        WHOLE: "wholebody_score",
    },
)
"""Without a box a result's area is that of its body's keypoints."""


def match_parts(
    truth: GroundTruth, detections: Detections, rules: MatchRules
) -> dict[str, MatchTable]:
    """Return who matched whom by each part of 133 keypoints.

    Raises `EvaluationError` as `match` does.
    """
    return {
        name: match(
            _truth_of(truth, part.keypoints),
            _detections_of(detections, name, part.keypoints),
            rules,
        )
        for name, part in BODY_PARTS.items()
    }


def ranked_as_whole(detections: Detections) -> Detections:
    """Return detections with the scores that all 133 keypoints together are ranked by."""
    return replace(detections, scores=detections.part_scores.get(WHOLE, detections.scores))


def split(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an annotation or a result of 133 keypoints with a list for each part, as officials."""
    points = row["keypoints"]
    lists = {part.field: points[3 * part.first : 3 * part.last] for part in BODY_PARTS.values()}
    return {**row, **lists}


def _truth_of(truth: GroundTruth, keypoints: slice) -> GroundTruth:
    visibility = truth.visibility[:, keypoints]
    return replace(
        truth,
        sigmas=truth.sigmas[keypoints],
        keypoints=truth.keypoints[:, keypoints],
        visibility=visibility,
        ignored=truth.crowd | ~(visibility > 0).any(axis=1),
    )


def _detections_of(detections: Detections, name: str, keypoints: slice) -> Detections:
    return replace(
        detections,
        keypoints=np.ascontiguousarray(detections.keypoints[:, keypoints]),
        keypoint_scores=detections.keypoint_scores[:, keypoints],
        scores=detections.part_scores.get(name, detections.scores),
    )
