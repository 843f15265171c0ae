"""What a cell scores with one field of its protocol switched. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from posebench.prediction.predictions import Predictions
from posebench.scoring.statistics.image_table import ImageTable


@dataclass(frozen=True, eq=False)
class Measured:
    """A cell with one field switched: its table and predictions, or why it was not measured."""

    field: str
    value: Any
    table: ImageTable | None = None
    ap: float | None = None
    predictions: Predictions | None = None
    how: str = ""
    reason: str = ""
