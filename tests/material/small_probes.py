"""A probe's reading and its stored result, made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from posebench.networks.sizes import InputSize
from posebench.results.cell import CheckpointFacts
from posebench.results.probes import (
    ProbeData,
    ProbeReading,
    ProbeRow,
    ReadingRow,
    StoredProbe,
    Sums,
)
from posebench.suites.probes import ProbeSettings

WHERE = {"layer": "tokens", "stride": "4", "points": "labelled", "shots": "1"}
READING = ProbeReading(
    (
        ReadingRow(
            "trained",
            WHERE,
            {"match PCK@0.1": Sums(np.array([3.0, 1.0, 2.0]), np.array([4.0, 4.0, 4.0]))},
        ),
    ),
    {"distances": np.arange(4.0)},
    sampled="images",
)


def facts(name: str) -> CheckpointFacts:
    """Return a checkpoint of the paradigm that its name begins with."""
    return CheckpointFacts(
        name=name, sha256="0" * 64, publisher="posebench", paradigm=name.partition("-")[0],
        backbone="ResNet", trained_size=InputSize(128, 96), parameters=1000,
    )  # fmt: skip


def stored(name: str, checkpoint: str = "heatmap-s", **changes: Any) -> StoredProbe:
    """Return a stored probe of the tokens of a checkpoint."""
    fields: dict[str, Any] = {
        "probe": "tokens",
        "checkpoint": facts(checkpoint),
        "data": ProbeData("synthetic", "1" * 64, "coco", images=3, people=4, images_sha256="2"),
        "settings": ProbeSettings(),
        "status": "ok",
        "rows": (ProbeRow("trained", WHERE, {"match PCK@0.1": 0.5}),),
        "sampled": "images",
        "posebench": "0",
    }
    return StoredProbe(name, **{**fields, **changes})
