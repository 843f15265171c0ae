"""Checkpoints in memory: each loaded once for planning and running, as far as memory allows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.averages import LAST
from posebench.checkpoints.findings import WEIGHTS, keypoints_value
from posebench.networks.backbones import describe
from posebench.networks.spec import spec_to_mapping
from posebench.results.cell import CheckpointFacts
from posebench.running.passes import WEIGHTS_OF_A_PASS
from posebench.running.sources import CheckpointSource


def file_bytes(path: Path) -> int:
    """Return the size of a checkpoint file, or 0 if it cannot be told."""
    return path.stat().st_size if path.is_file() else 0


class LoadedCheckpoints:
    """Loads checkpoints, and holds those whose files fit into a budget together.

    Planning needs each checkpoint once, and a pass needs some of them again: those that are held
    are not loaded twice. A checkpoint beyond the budget is not held.
    """

    def __init__(self, budget: int | None = None) -> None:
        self._budget = WEIGHTS_OF_A_PASS if budget is None else budget
        self._held: dict[CheckpointSource, Checkpoint] = {}

    def load(self, source: CheckpointSource) -> Checkpoint:
        """Return a checkpoint, and hold it if it fits.

        Raises what `load_checkpoint` raises.
        """
        held = self._held.get(source)
        if held is not None:
            return held
        loaded = load_checkpoint(source.path, source.spec_file)
        if self._bytes([*self._held, source]) <= self._budget:
            self._held[source] = loaded
        return loaded

    def make_room(self, sources: Iterable[CheckpointSource]) -> None:
        """Let go of other checkpoints, oldest first, until these fit beside the rest."""
        needed = dict.fromkeys(sources)
        for other in [held for held in self._held if held not in needed]:
            if self._bytes([*self._held, *needed]) <= self._budget:
                return
            del self._held[other]

    def keep_only(self, sources: Iterable[CheckpointSource]) -> None:
        """Let go of all but these, which are still to run."""
        needed = set(sources)
        self._held = {source: held for source, held in self._held.items() if source in needed}

    def _bytes(self, sources: Iterable[CheckpointSource]) -> int:
        return sum(file_bytes(path) for path in {source.path for source in sources})


def checkpoint_facts(checkpoint: Checkpoint, name: str) -> CheckpointFacts:
    """Return what results say of a checkpoint."""
    spec = checkpoint.spec
    # The file's hash does not tell which of its two sets of weights was chosen.
    weights = {WEIGHTS: LAST} if checkpoint.last_step else {}
    return CheckpointFacts(
        name=name,
        sha256=checkpoint.sha256,
        publisher=checkpoint.publisher,
        paradigm=spec.paradigm,
        backbone=describe(spec.backbone),
        trained_size=spec.input_size,
        parameters=checkpoint.parameters,
        spec={**spec_to_mapping(spec), "keypoints": keypoints_value(spec.keypoints), **weights},
    )
