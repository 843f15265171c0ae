"""The numbers that probes read off a checkpoint, each listed once. No torch.

Tables, claims, the report and the documentation read this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from posebench.scoring.units import POINTS, Unit
from posebench.suites.probes import ProbeName


@dataclass(frozen=True)
class ProbeNumber:
    """What is known of one number: its probe, its unit and what it says.

    `sampled` numbers are of people or keypoints, so that chance moves them and intervals tell by
    how much; the others are of the weights alone.
    """

    probe: ProbeName
    unit: Unit
    says: str
    sampled: bool = False


_COSINE, _SIGMAS = Unit("cosine", decimals=2), Unit("σ", decimals=2)
_PLAIN = Unit("", decimals=2)

PROBE_NUMBERS: Mapping[str, ProbeNumber] = MappingProxyType(
    {
        "identity error": ProbeNumber(
            "identity",
            Unit("ppm", 1e6, decimals=3),
            "largest difference between an output and the inner product computed again in double "
            "precision, relative to the largest output; for the arm `rounding` the most that "
            "float32 sums may be off",
        ),
        "bias share": ProbeNumber(
            "identity",
            POINTS,
            "largest bias of the layer, relative to the largest output",
        ),
        "same peak by cosine": ProbeNumber(
            "identity",
            POINTS,
            "share of maps whose best cell is also the one of the largest cosine",
            sampled=True,
        ),
        "response within 1σ": ProbeNumber(
            "decay",
            POINTS,
            "mean response up to 1 σ from the peak; the peak is 100, the map's median 0",
            sampled=True,
        ),
        "response beyond 3σ": ProbeNumber(
            "decay", POINTS, "mean response more than 3 σ from the peak", sampled=True
        ),
        "fall": ProbeNumber(
            "decay", POINTS, "response within 1 σ minus response beyond 3 σ", sampled=True
        ),
        "half width": ProbeNumber(
            "decay",
            _SIGMAS,
            "distance at which the response has fallen to half of the peak; a Gaussian's is 1.18 σ",
            sampled=True,
        ),
        "near cosine": ProbeNumber(
            "position-code", _COSINE, "mean cosine of position vectors 1 training σ apart"
        ),
        "far cosine": ProbeNumber(
            "position-code", _COSINE, "mean cosine of position vectors 4 training σ apart or more"
        ),
        "near minus far": ProbeNumber("position-code", _COSINE, "near cosine minus far cosine"),
        "half distance": ProbeNumber(
            "position-code", _SIGMAS, "distance at which the mean cosine falls to one half"
        ),
        "effective dimension": ProbeNumber(
            "position-code",
            Unit("", decimals=1),
            "participation ratio of the principal components: how many a code uses evenly",
        ),
        "spacing variation": ProbeNumber(
            "position-code",
            _PLAIN,
            "standard deviation over mean of the distances between neighbours; 0 is even",
        ),
        "partner cosine": ProbeNumber(
            "keypoint-vectors", _COSINE, "mean cosine with the left/right partner", sampled=True
        ),
        "other cosine": ProbeNumber(
            "keypoint-vectors", _COSINE, "mean cosine with all other keypoints", sampled=True
        ),
        "partner excess": ProbeNumber(
            "keypoint-vectors", _COSINE, "partner cosine minus other cosine", sampled=True
        ),
        "partner rank": ProbeNumber(
            "keypoint-vectors",
            Unit("", decimals=1),
            "mean rank of the partner among all other keypoints, 1 the most alike",
            sampled=True,
        ),
        "permutation p": ProbeNumber(
            "keypoint-vectors",
            Unit("", decimals=4),
            "share of permuted keypoints whose partner excess is as far from 0, two-sided",
        ),
        "hands minus hand and face": ProbeNumber(
            "keypoint-vectors",
            _COSINE,
            "cosine of the two wrists minus the mean cosine of a wrist and the face",
        ),
        "match PCK@0.1": ProbeNumber(
            "tokens",
            POINTS,
            "share of keypoints matched within a tenth of the box's longer side",
            sampled=True,
        ),
        "match PCK@0.2": ProbeNumber("tokens", POINTS, "the same within a fifth", sampled=True),
    }
)
