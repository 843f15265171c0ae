"""The fields of a suite that `posebench.evaluate` takes as keywords, typed. Never loads torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from posebench.networks.names import DecoderChoice
from posebench.prediction.execution import Precision
from posebench.suites.suite import (
    BoxesEntry,
    EngineName,
    FlipChoice,
    PolicyName,
    ScoringEntry,
)


class EvaluationFields(TypedDict, total=False):
    """Fields of a suite; one that is a list may be given as its only value."""

    boxes: str | BoxesEntry | Mapping[str, Any] | Sequence[str | BoxesEntry]
    sizes: str | Sequence[str]
    policies: PolicyName | Sequence[PolicyName]
    flip: FlipChoice | Sequence[FlipChoice]
    decoders: DecoderChoice | Sequence[DecoderChoice]
    engines: EngineName | Sequence[EngineName]
    precision: Precision | Sequence[Precision]
    transforms: str | Sequence[str]
    corruptions: str | Sequence[str]
    scoring: ScoringEntry | Mapping[str, Any]
    batch_size: int | None
    claims: str | Sequence[str]
