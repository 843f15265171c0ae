"""Checkpoints: bytes to a network, safely. One adapter per publisher."""

from posebench.checkpoints.loading import (
    Checkpoint,
    Inspection,
    inspect_checkpoint,
    load_checkpoint,
)
from posebench.checkpoints.report import LoadReport

__all__ = ["Checkpoint", "Inspection", "LoadReport", "inspect_checkpoint", "load_checkpoint"]
