"""Safetensors files: their metadata, and tensors that are read on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from posebench.errors import CheckpointError

# Bytes are the files of an exported network.
_DTYPES = ("F16", "BF16", "F32", "F64", "I64", "I32", "U8")


@dataclass(frozen=True)
class SafetensorsEntry:
    """A tensor that has not been read yet."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class SafetensorsFile:
    """An open file; `read` returns a tensor as a copy that outlives it."""

    metadata: Mapping[str, str]
    entries: Mapping[str, SafetensorsEntry]
    read: Callable[[SafetensorsEntry], Tensor]


@contextmanager
def open_safetensors(path: Path) -> Iterator[SafetensorsFile]:
    """Open a file.

    Raises `CheckpointError` if it is damaged or a tensor holds no numbers.
    """
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            kinds = {name: str(part.get_dtype()) for name, part in slices.items()}
            odd = [name for name, kind in kinds.items() if kind not in _DTYPES]
            if odd:
                raise CheckpointError(f"{odd[0]} is stored as {kinds[odd[0]]}, not as a number.")
            entries = {
                name: SafetensorsEntry(name, tuple(part.get_shape()))
                for name, part in slices.items()
            }

            def read(entry: SafetensorsEntry) -> Tensor:
                # Without a copy, a tensor would change or fault when the file changes.
                tensor: Tensor = file.get_tensor(entry.name).clone()
                return tensor

            yield SafetensorsFile(file.metadata() or {}, entries, read)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"The safetensors file is damaged or cut off ({error}).",
            hint="Download or copy the file again and compare its size with the publisher's.",
        ) from None
