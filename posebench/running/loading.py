"""Checkpoints in memory: each loaded once for planning and running, as far as memory allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.averages import LAST
from posebench.checkpoints.findings import WEIGHTS, ZOO, keypoints_value
from posebench.errors import PosebenchError
from posebench.files.records import mapping_from_record
from posebench.networks.backbones import describe
from posebench.networks.spec import spec_to_mapping
from posebench.results.cell import CellFinding, CheckpointFacts
from posebench.running.sources import CheckpointSource
from posebench.suites.recipe import SOURCES, recipe_from_mapping

# Bytes of checkpoint files that run together; in memory weights take up to three times as much.
WEIGHTS_OF_A_PASS = 2**30
_Files = tuple[Path, Path | None]
# Where provenance has the hash of a file that a recipe names, if not under the recipe's own word.
_ORIGINS = {"distillation": "teacher"}


def file_bytes(path: Path) -> int:
    """Return the size of a checkpoint file, or 0 if it cannot be told."""
    return path.stat().st_size if path.is_file() else 0


class LoadedCheckpoints:
    """Loads checkpoints, and holds those whose files fit into a budget together.

    Planning needs each checkpoint once, and a pass needs some of them again: those that are held
    are not loaded twice, whatever their names. A checkpoint beyond the budget is not held.
    """

    def __init__(self, budget: int | None = None) -> None:
        self._budget = WEIGHTS_OF_A_PASS if budget is None else budget
        self._held: dict[_Files, Checkpoint] = {}

    def load(self, source: CheckpointSource) -> Checkpoint:
        """Return a checkpoint, and hold it if it fits.

        Raises what `load_checkpoint` raises.
        """
        held = self._held.get(source.files)
        if held is not None:
            return held
        loaded = load_checkpoint(source.path, source.spec_file)
        if _bytes([*self._held, source.files]) <= self._budget:
            self._held[source.files] = loaded
        return loaded

    def make_room(self, sources: Iterable[CheckpointSource]) -> None:
        """Let go of other checkpoints, oldest first, until these fit beside the rest.

        Nothing makes way for a checkpoint that is beyond the budget by itself.
        """
        files = (source.files for source in sources)
        needed = dict.fromkeys(each for each in files if _bytes([each]) <= self._budget)
        for other in [held for held in self._held if held not in needed]:
            if _bytes([*self._held, *needed]) <= self._budget:
                return
            del self._held[other]

    def keep_only(self, sources: Iterable[CheckpointSource]) -> None:
        """Let go of all but these, which are still to run."""
        needed = {source.files for source in sources}
        self._held = {files: held for files, held in self._held.items() if files in needed}


def _bytes(files: Iterable[_Files]) -> int:
    return sum(file_bytes(path) for path in {path for path, _ in files})


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
        training=training_facts(checkpoint.provenance),
    )


def training_facts(provenance: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the recipe that a checkpoint says it was trained by, or None.

    Files and folders are named by the hash of their content, since one training serves suites that
    call them otherwise. Settings that recipes did not have yet have their defaults, so that older
    checkpoints differ from newer ones in what differs only.
    """
    recipe = provenance.get("recipe")
    if not isinstance(recipe, Mapping):
        return None
    try:
        read = recipe_from_mapping(recipe, where="provenance", folder=Path())
        facts = mapping_from_record(read)
    except PosebenchError:
        facts = dict(recipe)  # of another version, or another program's
    for section, field in SOURCES.items():
        settings, hashed = facts.get(section), provenance.get(_ORIGINS.get(section, section))
        if isinstance(settings, Mapping) and field in settings and isinstance(hashed, Mapping):
            facts[section] = {**settings, field: hashed.get("sha256", settings[field])}
    return facts


def checkpoint_findings(checkpoint: Checkpoint) -> tuple[CellFinding, ...]:
    """Return what was assumed of a checkpoint or is odd in it, and moves its numbers."""
    evidence = checkpoint.evidence
    assumed = [name for name, _, why in evidence if why.startswith("assumed")]
    keypoints = next((value for name, value, _ in evidence if name == "keypoints"), None)
    texts = []
    if "keypoints" in assumed:
        text = f"its keypoints are taken for those of {keypoints}, by their number alone"
        texts.append(("keypoints-assumed", text))
    if others := [name for name in assumed if name != "keypoints"]:
        text = f"assumed, as the file does not say: {', '.join(others)}"
        texts.append(("settings-assumed", text))
    whys = dict.fromkeys(why for name, _, why in evidence if name.startswith("crop."))
    texts += [("normalises-itself", why) for why in whys if why.startswith("the graph normalises")]
    for name, value, why in evidence:
        if name == WEIGHTS:
            texts.append(("two-sets-of-weights", f"the {value} weights are used, by {why}"))
        elif f"; {ZOO}" in why:
            texts.append(("zoo-differs", f"{name} is {value}, by {why}"))
    hint = "`posebench inspect` says why; --spec overrules."
    return tuple(CellFinding("checkpoint", "note", *each, hint=hint) for each in texts)
