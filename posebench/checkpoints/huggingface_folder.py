"""A folder as transformers' `save_pretrained` writes it: `config.json`, `model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from posebench.checkpoints.contents import Contents, Identity
from posebench.checkpoints.findings import Finding
from posebench.checkpoints.parsing.safetensors_file import SafetensorsFile, open_safetensors
from posebench.checkpoints.publishers.huggingface import CONFIG, PREPROCESSOR
from posebench.checkpoints.publishers.publisher import StateFile
from posebench.checkpoints.state_dicts import identify_state, load_state
from posebench.errors import CheckpointError
from posebench.zoo.hub import checkpoint_name

WEIGHTS = "model.safetensors"
MAX_CONFIG = 1_000_000


def identify(folder: Path, overrides: tuple[Finding, ...]) -> Identity:
    """Identify what a folder holds without reading its tensors."""
    with _open(folder) as (file, _):
        return identify_state(file, overrides)


def load(folder: Path, overrides: tuple[Finding, ...]) -> Contents:
    """Load a folder; every tensor is mapped, dropped by a named rule, or an error."""
    with _open(folder) as (file, weights):
        return load_state(file, overrides, weights.read)


@contextmanager
def _open(folder: Path) -> Iterator[tuple[StateFile, SafetensorsFile]]:
    meta = {CONFIG: _read_json(folder / CONFIG)}
    if (folder / PREPROCESSOR).is_file():
        meta[PREPROCESSOR] = _read_json(folder / PREPROCESSOR)
    with open_safetensors(folder / WEIGHTS) as weights:
        yield StateFile(checkpoint_name(folder), weights.entries, meta), weights


def _read_json(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        value = json.loads(path.read_text(encoding="utf-8")) if size <= MAX_CONFIG else None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}.") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} does not hold a JSON object of at most {MAX_CONFIG} bytes.")
    return value
