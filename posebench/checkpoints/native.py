"""posebench's own files: safetensors whose metadata holds the spec and the provenance.

Their tensors are a network's weights, or the bytes of an exported network's own files.
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
from safetensors import SafetensorError

from posebench.checkpoints.contents import (
    Contents,
    Identity,
    check_shapes,
    empty_model,
    fill_model,
    without_losses,
)
from posebench.checkpoints.findings import Finding, findings_of, settle, spec_from_findings
from posebench.checkpoints.graphs.exported import load_graph
from posebench.checkpoints.graphs.graphs import PARTS, GraphFile
from posebench.checkpoints.parsing.safetensors_file import SafetensorsFile, open_safetensors
from posebench.errors import CheckpointError
from posebench.files.writing import put_when_written
from posebench.networks.backbones import EXPORTED
from posebench.networks.costs import count_parameters
from posebench.networks.model import PoseModel
from posebench.networks.spec import ModelSpec, spec_to_mapping

SCHEMA_VERSION = 1
MAX_METADATA = 4_000_000
_KEY = "posebench"
_WHY = "the file's metadata"


def save_checkpoint(
    path: Path,
    model: PoseModel,
    provenance: Mapping[str, Any],
    *,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a model's weights, spec and provenance (plain JSON data), via a temporary name.

    Tensors of two or more dimensions are stored as `dtype`; BatchNorm statistics, biases and other
    vectors stay float32, because they need its range. Raises `CheckpointError` if a weight is not
    finite in that type, or if the file cannot be written.
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
    """Write an exported network's own files, byte for byte, with its spec and provenance.

    Raises `CheckpointError` if the file cannot be written.
    """
    tensors = {name: np.frombuffer(data, np.uint8) for name, data in graph.parts.items()}
    metadata = _metadata(spec, provenance)
    _write(path, lambda place: safetensors.numpy.save_file(tensors, place, metadata))


def identify(path: Path, overrides: tuple[Finding, ...]) -> Identity:
    """Read the metadata of a file that `save_checkpoint` wrote."""
    with open_safetensors(path) as file:
        return _identity(file, overrides)


def _identity(file: SafetensorsFile, overrides: tuple[Finding, ...]) -> Identity:
    record = _record(file.metadata.get(_KEY))
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
    with open_safetensors(path) as file:
        identity = _identity(file, overrides)
        spec = spec_from_findings(identity.findings, where=path.name)
        if spec.backbone.family in EXPORTED:
            graph = _graph(path.name, file)
            return replace(load_graph(graph, identity.findings), identity=identity)
        model = empty_model(spec)
        entries, dropped = without_losses(file.entries)
        shapes = {name: entry.shape for name, entry in entries.items()}
        report = check_shapes(model, shapes, dropped)
        fill_model(model, {name: file.read(entry) for name, entry in entries.items()})
    return Contents(identity, spec, model, report, count_parameters(model))


def stored_graph(path: Path) -> GraphFile:
    """Read the exported network that `save_graph` wrote.

    Raises `CheckpointError` if there is none.
    """
    with open_safetensors(path) as file:
        return _graph(path.name, file)


def _graph(name: str, file: SafetensorsFile) -> GraphFile:
    kind = next((each for each, parts in PARTS.items() if set(parts) == set(file.entries)), None)
    tensors = {part: file.read(entry) for part, entry in file.entries.items()} if kind else {}
    if kind is None or any(tensor.dtype != torch.uint8 for tensor in tensors.values()):
        raise CheckpointError("The metadata mentions an exported graph, but the file holds none.")
    return GraphFile(name, kind, {part: each.numpy().tobytes() for part, each in tensors.items()})


def _metadata(spec: ModelSpec, provenance: Mapping[str, Any]) -> dict[str, str]:
    record = {
        "schema": SCHEMA_VERSION,
        "spec": spec_to_mapping(spec),
        "provenance": dict(provenance),
    }
    return {_KEY: json.dumps(record, allow_nan=False, sort_keys=True)}


def _write(path: Path, save: Callable[[Path], None]) -> None:
    try:
        with put_when_written(path) as temporary:
            save(temporary)
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
            "This safetensors file does not say which network its weights belong to.",
            hint="Beside it lies a config.json? Then give the folder. posebench reads the"
            " .safetensors files that `posebench train` and `posebench convert` write.",
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
