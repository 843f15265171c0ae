"""From a publisher's state dict to a spec and a network that holds its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from posebench.checkpoints import file_names
from posebench.checkpoints.architecture import find_architecture, keypoint_count, trained_size
from posebench.checkpoints.contents import (
    Contents,
    Identity,
    check_shapes,
    empty_model,
    fill_model,
    without_losses,
)
from posebench.checkpoints.findings import (
    Finding,
    findings_of,
    nested_mapping,
    settle,
    spec_from_findings,
)
from posebench.checkpoints.publishers.hrnet_original import HRNET
from posebench.checkpoints.publishers.huggingface import HUGGING_FACE
from posebench.checkpoints.publishers.mmpose import MMPOSE_0, MMPOSE_1
from posebench.checkpoints.publishers.prefixes import without_wrappers
from posebench.checkpoints.publishers.publisher import Derived, Publisher, StateFile, Weights
from posebench.checkpoints.publishers.simcc_original import SIMCC
from posebench.checkpoints.publishers.vitpose import VITPOSE
from posebench.checkpoints.refusals import refuse_other_networks
from posebench.errors import CheckpointError, SpecError
from posebench.networks.backbones import build_backbone
from posebench.networks.codecs import SimccCodec
from posebench.networks.costs import count_parameters
from posebench.networks.heads import head_family
from posebench.networks.spec import BackboneSpec, HeadSpec

# Tried in this order; the last one accepts every file.
PUBLISHERS: tuple[Publisher, ...] = (HUGGING_FACE, VITPOSE, HRNET, SIMCC, MMPOSE_0, MMPOSE_1)


@dataclass(frozen=True)
class _Sorted:
    """A state dict, sorted by its publisher's rules."""

    publisher: Publisher
    weights: Weights


def identify_state(file: StateFile, overrides: tuple[Finding, ...]) -> Identity:
    """Identify a state dict without reading its tensors."""
    file = _unwrapped(file)
    return _identify(file, _sort(file), overrides)


def load_state(
    file: StateFile, overrides: tuple[Finding, ...], read: Callable[[Any], Tensor]
) -> Contents:
    """Load a state dict; `read` gets its tensors from the file.

    Every tensor is mapped, dropped by a named rule, or an error.
    """
    file = _unwrapped(file)
    parts = _sort(file)
    tensors, losses = without_losses(parts.weights.tensors)
    weights = Weights(tensors, (*parts.weights.dropped, *losses))
    identity = _identify(file, parts, overrides)
    spec = spec_from_findings(identity.findings, where=file.name)
    model = empty_model(spec)
    report = check_shapes(model, weights.shapes, (*file.dropped, *weights.dropped))
    fill_model(model, {name: _value(ref, read) for name, ref in weights.tensors.items()})
    return Contents(identity, spec, model, report, count_parameters(model))


def _value(stored: Any, read: Callable[[Any], Tensor]) -> Tensor:
    if isinstance(stored, Derived):
        return stored.make(*(read(source) for source in stored.sources))
    return read(stored)


def _unwrapped(file: StateFile) -> StateFile:
    """Return a file whose tensors have the names that the unwrapped network gave them."""
    # Names of other networks may begin with what looks like a wrapper's prefix.
    refuse_other_networks({name: each.shape for name, each in file.state.items()}, file.meta)
    state, gone = without_wrappers(file.state)
    notes = {"left out of the tensors' names": gone} if gone else {}
    return replace(file, state=state, notes=notes)


def _sort(file: StateFile) -> _Sorted:
    refuse_other_networks({name: each.shape for name, each in file.state.items()}, file.meta)
    publisher = next(each for each in PUBLISHERS if each.recognise(file))
    return _Sorted(publisher, publisher.sort_weights(file))


def _identify(file: StateFile, parts: _Sorted, overrides: tuple[Finding, ...]) -> Identity:
    shapes = parts.weights.shapes
    architecture = find_architecture(shapes)
    settings = parts.publisher.find_settings(file, shapes, overrides)
    head, stride = _head_and_stride((*architecture, *settings, *overrides))
    ratios = [f.value for f in (*settings, *overrides) if f.field == "codec.split_ratio"]
    trained = trained_size(shapes, head, stride, _known_ratio(ratios))
    _check_agreement(settings, trained, overrides)
    guesses = (
        *architecture,
        Finding("codec.kind", head_family(head.kind).codec.kind, "the kind of head"),
        *file_names.find_size(file.name),
        *_find_keypoints(file.name, shapes, (*settings, *trained, *overrides)),
    )
    findings = settle((*guesses, *settings, *trained, *file.findings, *overrides))
    provenance = {**parts.publisher.find_provenance(file), **file.notes}
    return Identity(parts.publisher.name, findings, provenance)


def _known_ratio(told: list[Any]) -> float | None:
    """Return the last split ratio found.

    Raises `SpecError` if no codec can have it.
    """
    if not told:
        return None
    if type(told[-1]) not in (int, float):
        raise SpecError(f"codec.split_ratio must be a number, not {str(told[-1])[:80]!r}.")
    return SimccCodec(split_ratio=told[-1]).split_ratio


def _find_keypoints(
    name: str, shapes: dict[str, tuple[int, ...]], known: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    """Guess the keypoints from the file's name and K, and UDP-regress from the channels."""
    found = {finding.field: finding.value for finding in known}
    decoder = found.get("codec.decoder")
    count = keypoint_count(shapes, decoder)
    keypoints = file_names.find_keypoints(name, count // found.get("head.channels_per_keypoint", 1))
    if decoder is not None or count == keypoint_count(shapes, "quarter"):
        return keypoints
    why = f"assumed: three channels for each of {count} keypoints"
    regress = {"codec": {"decoder": "udp-regress"}, "crop": {"udp": True}}
    return (*keypoints, *findings_of(regress, why))


def _head_and_stride(findings: tuple[Finding, ...]) -> tuple[HeadSpec, int]:
    """Return the head found and the backbone's stride, which a build without memory gives."""
    plain = nested_mapping(findings)
    head = HeadSpec.of(plain["head"])
    with torch.device("meta"):
        backbone = build_backbone(BackboneSpec(**plain["backbone"]))
    return head, backbone.stride


def _check_agreement(
    settings: tuple[Finding, ...], trained: tuple[Finding, ...], overrides: tuple[Finding, ...]
) -> None:
    """Raise `CheckpointError` if the file's metadata and its weights give different sizes."""
    told, measured = (
        next((f.value for f in found if f.field == "input_size"), None)
        for found in (settings, trained)
    )
    overruled = any(finding.field == "input_size" for finding in overrides)
    if None not in (told, measured) and told != measured and not overruled:
        raise CheckpointError(
            f"The file says input size {told}, the weights were trained at {measured}.",
            hint="Give --spec FILE.yaml with the right input_size.",
        )
