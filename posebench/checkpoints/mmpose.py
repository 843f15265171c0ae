"""MMPose 0.x and 1.x `.pth` files to a spec and a network.

Facts of the files: `tools/misc/publish_model.py` of MMPose 1.3.2, `runner/runner.py` of mmengine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from posebench.backbones import build_backbone
from posebench.checkpoints.architecture import (
    find_architecture,
    find_trained_size,
    keypoint_count,
)
from posebench.checkpoints.contents import (
    Contents,
    Identity,
    check_shapes,
    empty_model,
    fill_model,
)
from posebench.checkpoints.findings import (
    Finding,
    keypoints_by_count,
    nested_mapping,
    settle,
    spec_from_findings,
)
from posebench.checkpoints.mmconfig import parse_config
from posebench.checkpoints.mmsettings import find_keypoints, find_settings
from posebench.checkpoints.reading import open_torch_file, state_dict_of
from posebench.checkpoints.rebuilding import TensorRef
from posebench.errors import CheckpointError
from posebench.model import count_parameters
from posebench.records import record_from_mapping
from posebench.spec import BackboneSpec, HeadSpec

# Rule and the names it drops: known, and without influence on what the network computes.
DROP_RULES = (
    ("input constants, which the crop spec holds", r"data_preprocessor\."),
    ("training losses", r"(head\.|keypoint_head\.)?loss(_module)?\."),
    ("the step counter of the weight average", r"steps$"),
)
_WRAPPER = "module."
_OLD_HEAD = "keypoint_head."


@dataclass(frozen=True)
class Weights:
    """Tensors under the network's own names, and what was left out by which rule."""

    tensors: Mapping[str, TensorRef]
    dropped: tuple[tuple[str, tuple[str, ...]], ...]
    publisher: str

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tensor.shape for name, tensor in self.tensors.items()}


def identify(path: Path, overrides: tuple[Finding, ...]) -> Identity:
    """Find what an MMPose file is without reading its tensors."""
    with open_torch_file(path) as file:
        state, meta, others = state_dict_of(file.tree)
        return _identify(sort_weights(state, others), meta, overrides)


def load(path: Path, overrides: tuple[Finding, ...]) -> Contents:
    """Load an MMPose file; every tensor is mapped, dropped by a named rule, or an error."""
    with open_torch_file(path) as file:
        state, meta, others = state_dict_of(file.tree)
        weights = sort_weights(state, others)
        identity = _identify(weights, meta, overrides)
        spec = spec_from_findings(identity.findings, where=path.name)
        model = empty_model(spec)
        report = check_shapes(model, weights.shapes, weights.dropped)
        fill_model(model, {name: file.tensor(ref) for name, ref in weights.tensors.items()})
    return Contents(identity, spec, model, report, count_parameters(model))


def sort_weights(state: Mapping[str, TensorRef], training_state: tuple[str, ...] = ()) -> Weights:
    """Split a state dict into the network's tensors, renamed to MMPose 1.x, and dropped ones."""
    if all(name.startswith(_WRAPPER) for name in state):
        state = {name[len(_WRAPPER) :]: tensor for name, tensor in state.items()}
    tensors: dict[str, TensorRef] = {}
    dropped: dict[str, list[str]] = {"training state beside the weights": list(training_state)}
    for name, tensor in state.items():
        rule = next((rule for rule, pattern in DROP_RULES if re.match(pattern, name)), None)
        if rule is not None:
            dropped.setdefault(rule, []).append(name)
        else:
            new = "head." + name[len(_OLD_HEAD) :] if name.startswith(_OLD_HEAD) else name
            if new in tensors:
                raise CheckpointError(f"The file has {new} twice, as {name} too.")
            tensors[new] = tensor
    old = any(name.startswith(_OLD_HEAD) for name in state)
    return Weights(
        tensors=tensors,
        dropped=tuple((rule, tuple(names)) for rule, names in dropped.items() if names),
        publisher="mmpose-0.x" if old else "mmpose-1.x",
    )


def _identify(
    weights: Weights, meta: Mapping[str, Any], overrides: tuple[Finding, ...]
) -> Identity:
    shapes = weights.shapes
    architecture = find_architecture(shapes)
    config = _config(meta, overrides)
    head, stride = _head_and_stride(architecture)
    count = keypoint_count(shapes)
    paradigm = "heatmap" if head.kind == "heatmap" else "simcc"
    guesses = (
        *architecture,
        Finding("codec.kind", paradigm, "the kind of head"),
        *keypoints_by_count(count),
    )
    settings = find_settings(config, overrides)
    ratios = [f.value for f in (*overrides, *settings) if f.field == "codec.split_ratio"]
    trained = find_trained_size(shapes, head, stride, ratios[0] if ratios else None)
    _check_agreement(settings, trained, overrides)
    keypoints = find_keypoints(meta.get("dataset_meta"), config, count)
    findings = settle((*guesses, *settings, *trained, *keypoints, *overrides))
    chosen = ("epoch", "iter", "experiment_name", "time", "mmengine_version", "mmpose_version")
    provenance = {key: meta[key] for key in chosen if isinstance(meta.get(key), str | int)}
    return Identity(weights.publisher, findings, provenance)


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


def _head_and_stride(architecture: tuple[Finding, ...]) -> tuple[HeadSpec, int]:
    """Return the head found and the backbone's stride, by building the backbone without memory."""
    plain = nested_mapping(architecture)
    head = record_from_mapping(HeadSpec, plain["head"], where="The head of this file")
    with torch.device("meta"):
        backbone = build_backbone(BackboneSpec(**plain["backbone"]))
    return head, backbone.stride


def _check_agreement(
    settings: tuple[Finding, ...], trained: tuple[Finding, ...], overrides: tuple[Finding, ...]
) -> None:
    """Raise `CheckpointError` where config and weights name different trained sizes."""
    told, measured = (
        next((f.value for f in found if f.field == "input_size"), None)
        for found in (settings, trained)
    )
    overruled = any(finding.field == "input_size" for finding in overrides)
    if None not in (told, measured) and told != measured and not overruled:
        raise CheckpointError(
            f"The config text says input size {told}, the weights were trained at {measured}.",
            hint="Give --spec FILE.yaml with the right input_size.",
        )
