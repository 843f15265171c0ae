"""MMPose 0.x and 1.x state dicts: names, dropped tensors and what the config text says.

Facts of the files: `tools/misc/publish_model.py` of MMPose 1.3.2, `runner/runner.py` of mmengine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from posebench.checkpoints.architecture import keypoint_count
from posebench.checkpoints.findings import Finding
from posebench.checkpoints.mmconfig import parse_config
from posebench.checkpoints.mmsettings import find_keypoints, find_settings
from posebench.checkpoints.publishers import Publisher, StateFile, Stored, Weights
from posebench.checkpoints.vit_weights import POSITIONS, has_class_row, without_class_row
from posebench.errors import CheckpointError

# Rule and the names it drops: known, and without influence on what the network computes.
DROP_RULES = (
    ("input constants, which the crop spec holds", r"data_preprocessor\."),
    ("training losses", r"(head\.|keypoint_head\.)?loss(_module)?\."),
    ("the step counter of the weight average", r"steps$"),
)
_WRAPPER = "module."
_OLD_HEAD = "keypoint_head."
_PROVENANCE = ("epoch", "iter", "experiment_name", "time", "mmengine_version", "mmpose_version")


def sort_weights(file: StateFile) -> Weights:
    """Split a state dict into the network's tensors, renamed to MMPose 1.x, and dropped ones."""
    state = file.state
    if all(name.startswith(_WRAPPER) for name in state):
        state = {name[len(_WRAPPER) :]: tensor for name, tensor in state.items()}
    tensors: dict[str, Stored] = {}
    dropped: dict[str, list[str]] = {"training state beside the weights": list(file.others)}
    for name, tensor in state.items():
        rule = next((rule for rule, pattern in DROP_RULES if re.match(pattern, name)), None)
        if rule is not None:
            dropped.setdefault(rule, []).append(name)
        else:
            new = "head." + name[len(_OLD_HEAD) :] if name.startswith(_OLD_HEAD) else name
            if new in tensors:
                raise CheckpointError(f"The file has {new} twice, as {name} too.")
            tensors[new] = tensor
    return Weights(
        tensors=tensors,
        dropped=tuple((rule, tuple(names)) for rule, names in dropped.items() if names),
    )


def _sort_weights_1(file: StateFile) -> Weights:
    """Sort a 1.x state dict; a ViT's class token goes, as it does when mmpretrain loads it."""
    weights = sort_weights(file)
    positions = weights.tensors.get(POSITIONS)
    if positions is None or len(positions.shape) != 3 or not has_class_row(positions.shape[1]):
        return weights
    left = ("the position of a class token, which mmpretrain drops", (f"{POSITIONS}[:, 0]",))
    tensors = {**weights.tensors, POSITIONS: without_class_row(positions)}
    return Weights(tensors, (*weights.dropped, left))


def _is_old(file: StateFile) -> bool:
    return any(re.match(rf"({re.escape(_WRAPPER)})?{_OLD_HEAD}", name) for name in file.state)


def _find_settings(
    file: StateFile, shapes: Mapping[str, tuple[int, ...]], overrides: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    config = _config(file.meta, overrides)
    keypoints = find_keypoints(file.meta.get("dataset_meta"), config, keypoint_count(shapes))
    return (*find_settings(config, overrides), *keypoints)


def find_provenance(file: StateFile) -> dict[str, Any]:
    meta = file.meta
    return {key: meta[key] for key in _PROVENANCE if isinstance(meta.get(key), str | int)}


def _config(meta: Mapping[str, Any], overrides: tuple[Finding, ...]) -> dict[str, Any]:
    """Parse the config text, if there is one; with `--spec` at hand, do without a broken one."""
    text = meta.get("cfg", meta.get("config"))
    if not isinstance(text, str) or not text.strip():
        return {}
    try:
        return parse_config(text)
    except CheckpointError:
        if overrides:
            return {}
        raise


MMPOSE_0 = Publisher("mmpose-0.x", _is_old, sort_weights, _find_settings, find_provenance)
MMPOSE_1 = Publisher("mmpose-1.x", lambda _: True, _sort_weights_1, _find_settings, find_provenance)
