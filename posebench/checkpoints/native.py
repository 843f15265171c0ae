"""posebench's own files: safetensors whose metadata holds the spec and the provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from posebench.checkpoints.contents import (
    Contents,
    Identity,
    check_shapes,
    empty_model,
    fill_model,
)
from posebench.checkpoints.findings import Finding, findings_of, settle, spec_from_findings
from posebench.checkpoints.safetensors_file import SafetensorsFile, open_safetensors
from posebench.errors import CheckpointError
from posebench.model import PoseModel, count_parameters
from posebench.records import put_in_place
from posebench.spec import spec_to_mapping

SCHEMA_VERSION = 1
MAX_METADATA = 4_000_000
_KEY = "posebench"


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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        save_file(tensors, temporary, {_KEY: json.dumps(record, allow_nan=False, sort_keys=True)})
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def identify(path: Path, overrides: tuple[Finding, ...]) -> Identity:
    """Read the metadata of a file that `save_checkpoint` wrote."""
    with open_safetensors(path) as file:
        return _identity(file, overrides)


def _identity(file: SafetensorsFile, overrides: tuple[Finding, ...]) -> Identity:
    record = _record(file.metadata.get(_KEY))
    found = findings_of(record["spec"], "the file's metadata")
    return Identity("posebench", settle((*found, *overrides)), record["provenance"])


def load(path: Path, overrides: tuple[Finding, ...]) -> Contents:
    """Load a file that `save_checkpoint` wrote; the weights become float32."""
    with open_safetensors(path) as file:
        identity = _identity(file, overrides)
        spec = spec_from_findings(identity.findings, where=path.name)
        model = empty_model(spec)
        report = check_shapes(model, {name: entry.shape for name, entry in file.entries.items()})
        fill_model(model, {name: file.read(entry) for name, entry in file.entries.items()})
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
            hint="Beside it lies a config.json? Then give the folder. posebench reads the"
            " .safetensors files that `posebench train` writes, MMPose .pth and ONNX too.",
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
