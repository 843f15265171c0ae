"""posebench's own files: safetensors whose metadata holds the spec and the provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from posebench.checkpoints.contents import (
    Contents,
    Identity,
    check_shapes,
    empty_model,
    fill_model,
)
from posebench.checkpoints.findings import Finding, findings_of, settle, spec_from_findings
from posebench.errors import CheckpointError
from posebench.model import PoseModel, count_parameters
from posebench.records import put_when_written
from posebench.spec import spec_to_mapping

SCHEMA_VERSION = 1
MAX_METADATA = 4_000_000
_KEY = "posebench"
_DTYPES = ("F16", "BF16", "F32", "F64", "I64", "I32")


def save_checkpoint(
    path: Path,
    model: PoseModel,
    provenance: Mapping[str, Any],
    *,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a model's weights, spec and provenance (plain JSON data) by way of a temporary name.

    Tensors of two or more dimensions are stored as `dtype`; BatchNorm statistics, biases and
    other vectors stay float32, whose range they need. Raises `CheckpointError` where a weight is
    not finite in that type.
    """
    tensors = {name: _stored(tensor, dtype) for name, tensor in model.state_dict().items()}
    broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise CheckpointError(f"{broken[0]} has values that are not finite in {dtype}.")
    record = {
        "schema": SCHEMA_VERSION,
        "spec": spec_to_mapping(model.spec),
        "provenance": dict(provenance),
    }
    with put_when_written(path) as temporary:
        save_file(tensors, temporary, {_KEY: json.dumps(record, allow_nan=False, sort_keys=True)})


def identify(path: Path, overrides: tuple[Finding, ...]) -> Identity:
    """Read the metadata of a file that `save_checkpoint` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _damaged(error) from None
    record = _record(metadata.get(_KEY))
    found = findings_of(record["spec"], "the file's metadata")
    return Identity("posebench", settle((*found, *overrides)), record["provenance"])


def load(path: Path, overrides: tuple[Finding, ...]) -> Contents:
    """Load a file that `save_checkpoint` wrote; the weights become float32."""
    identity = identify(path, overrides)
    spec = spec_from_findings(identity.findings, where=path.name)
    model = empty_model(spec)
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            slices = {name: file.get_slice(name) for name in names}
            kinds = {name: str(part.get_dtype()) for name, part in slices.items()}
            odd = [name for name, kind in kinds.items() if kind not in _DTYPES]
            if odd:
                raise CheckpointError(f"{odd[0]} is stored as {kinds[odd[0]]}, not as a number.")
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            report = check_shapes(model, shapes)
            # Copies: a tensor that stays a view of the file changes or faults when the file does.
            fill_model(model, {name: file.get_tensor(name).clone() for name in names})
    except (SafetensorError, OSError) as error:
        raise _damaged(error) from None
    return Contents(identity, spec, model, report, count_parameters(model))


def _stored(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    plain = tensor.detach().cpu().contiguous()
    if not plain.is_floating_point():
        return plain
    return plain.to(dtype if plain.ndim > 1 else torch.float32)


def _record(text: str | None) -> dict[str, Any]:
    """Return the metadata record with the keys `spec` and `provenance`."""
    if text is None:
        raise CheckpointError(
            "This safetensors file does not say which network its weights are of.",
            hint="posebench reads the .safetensors files that `posebench train` writes, MMPose .pth"
            " and ONNX.",
        )
    try:
        record = json.loads(text) if len(text) <= MAX_METADATA else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("spec"), dict):
        raise CheckpointError("The metadata of this file is damaged.")
    if record.get("schema") != SCHEMA_VERSION:
        raise CheckpointError(
            f"The file has schema {record.get('schema')}, this version reads {SCHEMA_VERSION}.",
            hint="A newer posebench wrote it: upgrade.",
        )
    provenance = record.get("provenance")
    return {
        "spec": record["spec"],
        "provenance": provenance if isinstance(provenance, dict) else {},
    }


def _damaged(error: Exception) -> CheckpointError:
    return CheckpointError(
        f"The safetensors file is damaged or cut off ({error}).",
        hint="Download or copy the file again and compare its size with the publisher's.",
    )
