"""`convert_checkpoint`: write any loadable checkpoint as posebench's own kind of file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from posebench.checkpoints.findings import Finding
from posebench.checkpoints.formats import recognise_format
from posebench.checkpoints.graphs.exported import GRAPH_READERS
from posebench.checkpoints.loading import Checkpoint, load_checkpoint
from posebench.checkpoints.native import save_checkpoint, save_graph, stored_graph
from posebench.errors import UsageError
from posebench.networks.model import PoseModel

SUFFIX = ".safetensors"
Precision = Literal["float32", "float16"]
PRECISIONS: dict[Precision, torch.dtype] = {"float32": torch.float32, "float16": torch.float16}


def convert_checkpoint(
    source: Path,
    target: Path,
    *,
    spec_file: Path | None = None,
    precision: Precision = "float32",
    force: bool = False,
) -> Checkpoint:
    """Write `source` to `target` as safetensors with its spec inside, and return `source` loaded.

    In float32 the weights compute exactly what the source does; a graph is copied byte for byte.
    Raises `UsageError` if `target` has the wrong suffix, is a folder, exists (without `force`) or
    is the source. Raises what `load_checkpoint` and `save_checkpoint` do.
    """
    _check_target(source, target, force)
    checkpoint = load_checkpoint(source, spec_file)
    provenance = _provenance(checkpoint)
    if isinstance(checkpoint.network, PoseModel):
        save_checkpoint(target, checkpoint.network, provenance, dtype=PRECISIONS[precision])
        return checkpoint
    if precision != "float32":
        raise UsageError(
            "--dtype is for weights: an exported graph keeps the precision it was exported with."
        )
    graph = GRAPH_READERS.get(recognise_format(source), stored_graph)(source)
    save_graph(target, graph, checkpoint.spec, provenance)
    return checkpoint


def _check_target(source: Path, target: Path, force: bool) -> None:
    if target.suffix != SUFFIX:
        raise UsageError(f"The file to write, {target.name}, must end in {SUFFIX}.")
    if not target.exists():
        return
    if target.is_dir():
        raise UsageError(f"{target} is a folder.")
    if target.samefile(source):
        raise UsageError(f"{target} is the file to convert.", hint="Give another name.")
    if not force:
        raise UsageError(f"{target} exists already.", hint="Give --force to replace it.")


def _provenance(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a file's origin, as first recorded, and the guessed fields of its spec."""
    return {
        "source_file": checkpoint.path.name,
        "source_sha256": checkpoint.sha256,
        "source_publisher": checkpoint.publisher,
        **checkpoint.provenance,
        "assumed": [each[0] for each in checkpoint.evidence if Finding(*each).guess],
    }
