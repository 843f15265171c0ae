"""Files of the SimCC repository, once named SimDR: two kinds of training, each with its own test.

Facts: leeyegy/SimCC, `validate_simdr` and `validate_sa_simdr` in `lib/core/function.py`,
`flip_back_simdr` in `lib/utils/transforms.py`, `lib/models/`, `experiments/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.publishers.hrnet_original import (
    DEFAULT,
    find_crop,
    find_provenance,
    has_simcc_head,
    is_original,
    sort_weights,
)
from posebench.checkpoints.publishers.publisher import Publisher, StateFile
from posebench.errors import CheckpointError

# Words of a file name, tried in this order, and how networks of that kind are tested. `nmt` is the
# loss of SimDR, after which the repository's configs are named; only SA-SimDR has a sigma.
_KINDS = (
    ("SA-SimDR", r"sa[-_]?simdr|split.*sigma", {"softmax": "mean", "score": "min"}),
    ("SimDR", r"simdr|(?<![a-z])nmt(?![a-z])", {"softmax": "each", "score": "max"}),
)
_CHOICES = "\n".join(
    f"    codec: {{softmax: {codec['softmax']}, score: {codec['score']}}}    # {kind}"
    for kind, _, codec in _KINDS
)


def _find_settings(
    file: StateFile, shapes: Mapping[str, tuple[int, ...]], overrides: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    flip = {"test": True, "shift_simcc": True}
    return (
        *_find_kind(file.name, overrides),
        *findings_of({"flip": flip}, DEFAULT),
        *find_crop(shapes),
    )


def _find_kind(name: str, overrides: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return softmax and score.

    Raises `CheckpointError` if nothing tells the kind of training.
    """
    for kind, pattern, codec in _KINDS:
        if re.search(pattern, name, re.IGNORECASE):
            return findings_of({"codec": codec}, f"file name: {kind}")
    told = {finding.field for finding in overrides}
    if {"codec.softmax", "codec.score"} <= told:
        return ()
    raise CheckpointError(
        "The file does not say whether it was trained as SimDR (one-hot targets) or SA-SimDR"
        " (Gaussian targets), which differ in their scores.",
        hint=f"Put simdr or sa_simdr in its name, or give --spec FILE.yaml with one of\n{_CHOICES}",
    )


SIMCC = Publisher(
    "simcc-original",
    lambda file: is_original(file) and has_simcc_head(file),
    sort_weights,
    _find_settings,
    find_provenance,
)
