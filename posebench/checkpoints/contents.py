"""The result of every adapter: a spec, a network, and an account of how both were found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from posebench.checkpoints.findings import Finding
from posebench.checkpoints.load_report import LoadReport, check_report, reconcile
from posebench.errors import CheckpointError, SpecError
from posebench.files.records import mapping_from_record
from posebench.networks.backbones import MAX_CHANNELS, describe
from posebench.networks.heads import LOSS_MODULE
from posebench.networks.model import Network, PoseModel, build_model
from posebench.networks.spec import ModelSpec

# The rule that drops the weights of training losses, which the network does not use.
LOSSES = "training losses"
_SHOWN = 3
_MOST_LAYERS = 64
_LIMITS = {"blocks": _MOST_LAYERS, "upsample": _MOST_LAYERS}


Tensors = TypeVar("Tensors")


@dataclass(frozen=True)
class Identity:
    """A file's publisher and what the file says about itself, before any network is built."""

    publisher: str
    findings: tuple[Finding, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """A loaded network; `parameters` is None if the file does not tell."""

    identity: Identity
    spec: ModelSpec
    network: Network
    report: LoadReport
    parameters: int | None


def empty_model(spec: ModelSpec) -> PoseModel:
    """Build the network of a spec without memory for its weights.

    Raises `SpecError` if a head or neck is larger than any network's.
    """
    for part in (spec.head, spec.neck):
        _check_bearable(mapping_from_record(part) if part is not None else {})
    with torch.device("meta"):
        return build_model(spec)


def _check_bearable(record: Mapping[str, Any]) -> None:
    for name, value in record.items():
        numbers = value if isinstance(value, list) else [value]
        if isinstance(value, Mapping):
            _check_bearable(value)
        elif len(numbers) > _MOST_LAYERS or any(
            isinstance(each, int | float) and not abs(each) <= _LIMITS.get(name, MAX_CHANNELS)
            for each in numbers
        ):
            raise SpecError(f"{name} is larger than any network's: {str(value)[:60]}.")


def without_losses(
    tensors: Mapping[str, Tensors],
) -> tuple[dict[str, Tensors], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Return the tensors without those of a learned loss, and these names under their rule."""
    prefix = f"head.{LOSS_MODULE}."
    left_out = tuple(name for name in tensors if name.startswith(prefix))
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)}
    return kept, (((LOSSES, left_out),) if left_out else ())


def check_shapes(
    model: PoseModel,
    shapes: Mapping[str, tuple[int, ...]],
    dropped: Iterable[tuple[str, tuple[str, ...]]] = (),
) -> LoadReport:
    """Account for every tensor of a file.

    Raises `CheckpointError` if a tensor is missing, misshapen or has no place.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    report = reconcile(shapes, expected, dropped)
    spec = model.spec
    network = f"{describe(spec.backbone)} with a {spec.head.kind} head at {spec.input_size}"
    check_report(report, network=network)
    return report


def fill_model(model: PoseModel, tensors: Mapping[str, Tensor]) -> PoseModel:
    """Give an empty model its weights in float32, ready to predict.

    Raises `CheckpointError`, with the first such tensors, if any hold NaN, infinite values or no
    floating-point numbers.
    """
    expected = model.state_dict()
    whole = [
        name
        for name, tensor in tensors.items()
        if expected[name].is_floating_point() and not tensor.is_floating_point()
    ]
    if whole:
        raise CheckpointError(
            f"{whole[0]} is stored as {str(tensors[whole[0]].dtype).removeprefix('torch.')}, not as"
            " floating-point numbers.",
            hint="Quantised weights cannot be read: give the file that they were made from.",
        )
    weights = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    broken = [name for name, tensor in weights.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise CheckpointError(
            f"{len(broken)} of {len(weights)} tensors hold NaN or infinite values, first:"
            f" {', '.join(broken[:_SHOWN])}.",
            hint="The training that wrote this file diverged, or the file is damaged.",
        )
    for name, tensor in expected.items():
        if name not in weights:
            weights[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval()
