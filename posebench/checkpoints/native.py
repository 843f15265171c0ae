"""posebench's own files: safetensors whose metadata holds the spec and the provenance.

Their tensors are the weights of a network; of an exported one, the bytes of its own files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from posebench.backbones import EXPORTED
from posebench.checkpoints.contents import (
    Contents,
    Identity,
    check_shapes,
    empty_model,
    fill_model,
)
from posebench.checkpoints.exported import load_graph
from posebench.checkpoints.findings import Finding, findings_of, settle, spec_from_findings
from posebench.checkpoints.graphs import PARTS, GraphFile
from posebench.errors import CheckpointError
from posebench.model import PoseModel, count_parameters
from posebench.records import put_in_place
from posebench.spec import ModelSpec, spec_to_mapping

SCHEMA_VERSION = 1
MAX_METADATA = 4_000_000
_KEY = "posebench"
_WHY = "the file's metadata"
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
    not finite in that type, or the file cannot be written.
    """
    tensors = {name: _stored(tensor, dtype) for name, tensor in model.state_dict().items()}
    broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise CheckpointError(f"{broken[0]} has values that are not finite in {dtype}.")
    metadata = _metadata(model.spec, provenance)
    _write(path, lambda place: safetensors.torch.save_file(tensors, place, metadata))


def save_graph(
    path: Path, graph: GraphFile, spec: ModelSpec, provenance: Mapping[str, Any]
) -> None:
    """Write an exported network's own files, byte by byte, with its spec and provenance.

    Raises `CheckpointError` where the file cannot be written.
    """
    tensors = {name: np.frombuffer(data, np.uint8) for name, data in graph.parts.items()}
    metadata = _metadata(spec, provenance)
    _write(path, lambda place: safetensors.numpy.save_file(tensors, place, metadata))


def identify(path: Path, overrides: tuple[Finding, ...]) -> Identity:
    """Read the metadata of a file that `save_checkpoint` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _damaged(error) from None
    record = _record(metadata.get(_KEY))
    provenance = record["provenance"]
    assumed = provenance.get("assumed")
    names = {str(name) for name in assumed} if isinstance(assumed, list) else set()
    found = (
        replace(each, why="assumed when converted") if each.field in names else each
        for each in findings_of(record["spec"], _WHY)
    )
    return Identity("posebench", settle((*found, *overrides)), provenance)


def load(path: Path, overrides: tuple[Finding, ...]) -> Contents:
    """Load a file that `save_checkpoint` or `save_graph` wrote; weights become float32."""
    identity = identify(path, overrides)
    spec = spec_from_findings(identity.findings, where=path.name)
    if spec.backbone.family in EXPORTED:
        return replace(load_graph(stored_graph(path), identity.findings), identity=identity)
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


def stored_graph(path: Path) -> GraphFile:
    """Read the exported network that `save_graph` wrote; raise `CheckpointError` without one."""
    try:
        with safe_open(path, framework="np") as file:
            names = set(file.keys())
            kind = next((each for each, parts in PARTS.items() if set(parts) == names), None)
            if kind is None or any(file.get_slice(name).get_dtype() != "U8" for name in names):
                raise CheckpointError("The metadata speaks of an exported graph; there is none.")
            parts = {name: file.get_tensor(name).tobytes() for name in PARTS[kind]}
    except (SafetensorError, OSError) as error:
        raise _damaged(error) from None
    return GraphFile(path.name, kind, parts)


def _metadata(spec: ModelSpec, provenance: Mapping[str, Any]) -> dict[str, str]:
    record = {
        "schema": SCHEMA_VERSION,
        "spec": spec_to_mapping(spec),
        "provenance": dict(provenance),
    }
    return {_KEY: json.dumps(record, allow_nan=False, sort_keys=True)}


def _write(path: Path, save: Callable[[Path], None]) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save(temporary)
            put_in_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CheckpointError(f"{path} cannot be written: {reason}.") from None


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
            hint="posebench reads the .safetensors files that `posebench train` and `posebench"
            " convert` write.",
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
