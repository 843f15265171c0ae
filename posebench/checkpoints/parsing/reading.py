"""Read files of `torch.save`, in both serialisations, as a tree of plain data and tensors.

Formats: torch/serialization.py (`_legacy_save`, `_save`). Only the requested tensors are read.
"""

from __future__ import annotations

import io
import mmap
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from posebench.checkpoints.parsing.other_trees import refuse_other_trees
from posebench.checkpoints.parsing.rebuilding import Inert, TensorRef
from posebench.checkpoints.parsing.unpickling import read_pickle
from posebench.errors import CheckpointError

MAX_ZIP_PICKLE = 256 * 2**20
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_LOCAL_HEADER = 30
_DAMAGED = "Download or copy the file again and compare its size with the publisher's."


@dataclass(frozen=True)
class TorchFile:
    """An open checkpoint: its tree of plain data and where each storage's bytes lie.

    `storages` maps a storage key to (first byte, number of bytes) in `data`.
    """

    tree: Any
    storages: Mapping[str, tuple[int, int]]
    data: mmap.mmap

    def tensor(self, reference: TensorRef) -> torch.Tensor:
        """Return a copy of one tensor.

        Raises `CheckpointError` if its bytes are missing.
        """
        storage = reference.storage
        dtype: torch.dtype = getattr(torch, storage.dtype)
        begin, length = self.storages.get(storage.key, (0, -1))
        if length < storage.count * dtype.itemsize:
            raise CheckpointError(
                f"Storage {storage.key!r} claims {storage.count} elements of {storage.dtype},"
                f" the file holds {max(length, 0)} bytes of it.",
                hint=_DAMAGED,
            )
        if 0 in reference.shape:
            return torch.empty(reference.shape, dtype=dtype)
        last = sum((s - 1) * t for s, t in zip(reference.shape, reference.stride, strict=True))
        first = begin + reference.offset * dtype.itemsize
        with memoryview(self.data) as view:
            raw = bytearray(view[first : first + (last + 1) * dtype.itemsize])
        flat = torch.frombuffer(raw, dtype=dtype)
        return flat.as_strided(reference.shape, reference.stride).contiguous()


@contextmanager
def open_torch_file(path: Path) -> Iterator[TorchFile]:
    """Open a file that `torch.save` wrote, without looking up or calling anything it names."""
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        if data[:4] == b"PK\x03\x04":
            yield _open_zip(data, path)
        else:
            yield _open_legacy(data)


def _open_zip(data: mmap.mmap, path: Path) -> TorchFile:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise CheckpointError(
            f"The zip archive is cut off or damaged ({error}).", hint=_DAMAGED
        ) from None
    main = next((name for name in entries if name.endswith("/data.pkl")), None)
    if main is None:
        raise CheckpointError("This is a zip archive, but not one that torch.save wrote.")
    root = main[: -len("data.pkl")]
    if f"{root}constants.pkl" in entries:
        raise CheckpointError(
            "This is a TorchScript program, not a file of weights.",
            hint="Save the model's state_dict(), or export it to ONNX.",
        )
    begin, length = _extent(data, entries[main])
    if length > MAX_ZIP_PICKLE:
        raise CheckpointError(f"{main} claims {length} bytes, more than any checkpoint's.")
    order = entries.get(f"{root}byteorder")
    if order is not None:
        place, size = _extent(data, order)
        _check_byte_order(data[place : place + size] == b"little")
    prefix = f"{root}data/"
    storages = {
        name[len(prefix) :]: _extent(data, entry)
        for name, entry in entries.items()
        if name.startswith(prefix)
    }
    tree = read_pickle(io.BytesIO(data[begin : begin + length])).value
    return TorchFile(tree, storages, data)


def _extent(data: mmap.mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Return (first byte, length) of an entry, which must be stored, not compressed."""
    header = data[entry.header_offset : entry.header_offset + _LOCAL_HEADER]
    stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size
    if not stored:
        raise CheckpointError(f"Entry {entry.filename} is compressed; torch.save never does that.")
    begin = entry.header_offset + _LOCAL_HEADER
    if header[:4] == b"PK\x03\x04":
        begin += int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    if header[:4] != b"PK\x03\x04" or begin + entry.file_size > len(data):
        raise CheckpointError(
            f"Entry {entry.filename} claims {entry.file_size} bytes that the file does not hold.",
            hint=_DAMAGED,
        )
    return begin, entry.file_size


def _open_legacy(data: mmap.mmap) -> TorchFile:
    if read_pickle(data).value != _LEGACY_MAGIC:
        raise CheckpointError(
            "This is a pickle, but not one that torch.save wrote.",
            hint="Save the model's state_dict() with torch.save, or as .safetensors.",
        )
    protocol, system = read_pickle(data).value, read_pickle(data).value
    if protocol != _LEGACY_PROTOCOL or not isinstance(system, dict):
        raise CheckpointError(f"torch.save protocol {protocol} is not known.")
    _check_byte_order(system.get("little_endian") is True)
    main = read_pickle(data)
    keys = read_pickle(data).value
    storages: dict[str, tuple[int, int]] = {}
    position = data.tell()
    for key in keys if isinstance(keys, list) else []:
        reference = main.storages.get(str(key))
        if reference is None:
            raise CheckpointError(f"Storage {str(key)[:40]!r} is of an unknown kind.")
        dtype: torch.dtype = getattr(torch, reference.dtype)
        count = int.from_bytes(data[position : position + 8], "little")
        begin, length = position + 8, count * dtype.itemsize
        if begin + length > len(data):
            raise CheckpointError(
                f"The file is cut off: it should have at least {begin + length} bytes and has"
                f" {len(data)}.",
                hint=_DAMAGED,
            )
        storages[str(key)] = (begin, length)
        position = begin + length
    return TorchFile(main.value, storages, data)


def _check_byte_order(little: bool) -> None:
    if not little:
        raise CheckpointError("The file was written on a big-endian machine, which is not read.")


@dataclass(frozen=True)
class StateTree:
    """The state dicts of a checkpoint's tree, by key; the key of a bare one is empty.

    `others` names the entries beside them other than `meta`. `tensors` are those among the others,
    or one level inside them, that map names to tensors; a key inside another follows a dot.
    """

    states: Mapping[str, dict[str, TensorRef]]
    meta: Mapping[str, Any]
    others: tuple[str, ...]
    tensors: Mapping[str, dict[str, TensorRef]] = field(default_factory=dict)


def state_dicts_of(tree: Any, keys: Collection[str]) -> StateTree:
    """Return the state dicts under `keys`, or the tree itself as one.

    Raises `CheckpointError` if there is no mapping from names to tensors.
    """
    if not isinstance(tree, dict):
        raise CheckpointError(
            f"The file holds {_kind(tree)}, not a mapping from names to tensors.",
            hint="Save model.state_dict() instead of the model itself.",
        )
    refuse_other_trees(tree)
    nested = {key: tree[key] for key in keys if isinstance(tree.get(key), dict) and tree[key]}
    for state in nested.values() or [tree]:
        _check_state(state)
    meta = tree.get("meta")
    others = tuple(str(key) for key in tree if key not in nested and key != "meta")
    states, meta = nested or {"": tree}, meta if isinstance(meta, dict) else {}
    if not nested:
        return StateTree(states, meta, ())
    return StateTree(
        states, meta, others, _tensors({key: value for key, value in tree.items() if key in others})
    )


def _tensors(entries: Mapping[str, Any]) -> dict[str, dict[str, TensorRef]]:
    """Return the entries that map names to tensors, and those one level inside the others."""
    inside = {
        f"{key}.{name}": value
        for key, entry in entries.items()
        if isinstance(entry, dict)
        for name, value in entry.items()
    }
    return {
        key: value
        for key, value in {**entries, **inside}.items()
        if isinstance(value, dict)
        and value
        and all(isinstance(k, str) and isinstance(v, TensorRef) for k, v in value.items())
    }


def _check_state(state: Mapping[Any, Any]) -> None:
    wrong = [key for key, value in state.items() if not isinstance(value, TensorRef)]
    if wrong or not state or not all(isinstance(key, str) for key in state):
        shown = f"; {wrong[0]!r} is {_kind(state[wrong[0]])}" if wrong else ""
        raise CheckpointError(
            f"The file holds no state dict (names to tensors){shown}.",
            hint="A checkpoint is a state dict, or a mapping with the key 'state_dict'.",
        )


def _kind(value: Any) -> str:
    return f"an object of {value.name}" if isinstance(value, Inert) else f"a {type(value).__name__}"
