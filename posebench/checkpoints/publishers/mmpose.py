"""MMPose 0.x and 1.x state dicts: names, dropped tensors and what the config text says.

Facts of the files: `tools/misc/publish_model.py` of MMPose 1.3.2, `runner/runner.py` of mmengine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from posebench.checkpoints import file_names
from posebench.checkpoints.architecture import keypoint_count, paradigm_of
from posebench.checkpoints.contents import LOSSES
from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.publishers import mmpose0
from posebench.checkpoints.publishers.mmconfig import lookup, parse_config
from posebench.checkpoints.publishers.mmkeypoints import find_keypoints
from posebench.checkpoints.publishers.mmsettings import find_settings
from posebench.checkpoints.publishers.publisher import (
    TRAINING_STATE,
    Publisher,
    StateFile,
    Stored,
    Weights,
)
from posebench.checkpoints.publishers.vit_weights import POSITIONS, has_class_row, without_class_row
from posebench.errors import CheckpointError
from posebench.networks.heads import LOSS_MODULE

# Each rule and the names it drops; these tensors do not affect what the network computes.
DROP_RULES = (
    ("input constants, which the crop spec holds", r"data_preprocessor\."),
    # The flow of RLE's loss tells the kind of head, and is dropped after that.
    (LOSSES, r"(head\.|keypoint_head\.)?loss(_module)?\.(?!flow_model\.)"),
    ("the step counter of the weight average", r"steps$"),
    ("the teacher and the losses of a distillation", r"(teacher|distill_losses)\."),
)
_WRAPPERS = ("module.", "student.")
_OLD_HEAD = "keypoint_head."
_OLD_LOSS = "head.loss."
# In 0.x the final layer also holds the convolutions before the last one, with batch norms.
_NUMBERED = re.compile(r"head\.final_layer\.(\d+)\.(.+)")
_PROVENANCE = ("epoch", "iter", "experiment_name", "time", "mmengine_version", "mmpose_version")


def sort_weights(file: StateFile) -> Weights:
    """Split a state dict into the network's tensors, renamed to MMPose 1.x, and dropped ones."""
    tensors: dict[str, Stored] = {}
    dropped: dict[str, list[str]] = {TRAINING_STATE: list(file.others)}
    numbers = [int(match[1]) for name in file.state if (match := _NUMBERED.search(name))]
    for name, tensor in file.state.items():
        plain = name.removeprefix(_WRAPPERS[0])
        rule = next((rule for rule, pattern in DROP_RULES if re.match(pattern, plain)), None)
        if rule is not None:
            dropped.setdefault(rule, []).append(plain)
            continue
        new = _renamed(plain.removeprefix(_WRAPPERS[1]), max(numbers, default=0))
        if new in tensors:
            raise CheckpointError(f"The file has {new} twice, as {name} too.")
        tensors[new] = tensor
    return Weights(
        tensors=tensors,
        dropped=tuple((rule, tuple(names)) for rule, names in dropped.items() if names),
    )


def _renamed(name: str, last: int) -> str:
    """Return the 1.x name: `final_layer.N` was the last convolution or one before it."""
    if name.startswith(_OLD_HEAD):
        name = "head." + name[len(_OLD_HEAD) :]
    if name.startswith(_OLD_LOSS):
        name = f"head.{LOSS_MODULE}." + name[len(_OLD_LOSS) :]
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return name
    layer = "final_layer" if int(match[1]) == last else f"conv_layers.{match[1]}"
    return f"head.{layer}.{match[2]}"


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
    return any(re.match(rf"({re.escape(_WRAPPERS[0])})?{_OLD_HEAD}", name) for name in file.state)


def _find_settings(
    file: StateFile, shapes: Mapping[str, tuple[int, ...]], overrides: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    config = _config(file.meta, overrides)
    _check_distillation(file, config)
    old = mmpose0.is_old(config)
    settings = mmpose0.find_old_settings(config) if old else find_settings(config, overrides)
    if not settings and paradigm_of(shapes) == "heatmap":
        settings = _heatmap_settings(file.name, shapes)
    known = (*settings, *overrides)
    decoder = next((f.value for f in reversed(known) if f.field == "codec.decoder"), None)
    count = keypoint_count(shapes, decoder)
    if any(finding.field == "keypoints" for finding in overrides):
        return settings
    return (*settings, *find_keypoints(file.meta.get("dataset_meta"), config, count))


def _heatmap_settings(name: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Finding, ...]:
    """Return the decoder and flip test of a heatmap file without a config.

    In 0.x and 1.x, the published configs with `shift_heatmap` are exactly those without UDP; those
    of Vision Transformers use UDP.
    """
    found = file_names.find_decoder(name)
    if not found and POSITIONS in shapes:
        udp_of_vit = {"codec": {"decoder": "udp"}, "crop": {"udp": True}}
        found = findings_of(udp_of_vit, "assumed: UDP, as in MMPose's ViT configs")
    regress = keypoint_count(shapes, None) != keypoint_count(shapes, "quarter")
    udp = regress or any(finding.field == "crop.udp" for finding in found)
    why = f"assumed: MMPose's rule for heatmaps {'with' if udp else 'without'} UDP"
    return (*found, Finding("flip.shift_heatmap", not udp, why))


def _check_distillation(file: StateFile, config: Mapping[str, Any]) -> None:
    """Raise `CheckpointError` if part of the network is the teacher's."""
    if any(_WRAPPERS[1] in name for name in file.state) and lookup(config, "model.two_dis"):
        raise CheckpointError(
            "This is a training file of DWPose's second stage, which trains a head alone.",
            hint="MMPose's tools/misc/pth_transfer.py --two_dis makes the finished model of it.",
        )


def find_provenance(file: StateFile) -> dict[str, Any]:
    meta = file.meta
    return {key: meta[key] for key in _PROVENANCE if isinstance(meta.get(key), str | int)}


def _config(meta: Mapping[str, Any], overrides: tuple[Finding, ...]) -> dict[str, Any]:
    """Parse the config text, if there is one; with `--spec`, ignore a broken one."""
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
