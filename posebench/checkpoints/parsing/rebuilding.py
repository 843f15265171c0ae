"""The records that a pickled checkpoint is read into, and the few calls that are understood.

Mirrors torch/_utils.py (`_rebuild_tensor_v2`, `_rebuild_parameter`) and numpy's `_reconstruct`
without running any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

MAX_DIMENSIONS = 8


@dataclass(frozen=True, eq=False)
class Name:
    """A class or function that a pickle names; it is not looked up."""

    full: str


@dataclass(frozen=True, eq=False)
class Inert:
    """Stands for an object in a pickle that is not plain data."""

    name: str


@dataclass(frozen=True)
class StorageRef:
    """A run of `count` elements somewhere in the file; `start` is where a view begins."""

    dtype: str
    key: str
    count: int
    start: int = 0


@dataclass(frozen=True)
class TensorRef:
    """A tensor whose bytes have not been read."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass
class NumpyDtype:
    """A pickled `numpy.dtype` of numbers, or `text` empty for any other."""

    text: str
    order: Literal["<", ">"] = "<"

    def restore(self, state: Any) -> None:
        big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"
        self.order = ">" if big else "<"


@dataclass
class NumpyArray:
    """A pickled `numpy.ndarray`; `values` is None unless it holds plain numbers."""

    values: np.ndarray | None = field(default=None)

    def restore(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) == 5):
            return
        _, shape, dtype, fortran, data = state
        if isinstance(dtype, NumpyDtype) and dtype.text and isinstance(data, bytes | str):
            raw = data if isinstance(data, bytes) else data.encode("latin1")
            flat = np.frombuffer(raw, np.dtype(dtype.text).newbyteorder(dtype.order))
            self.values = flat.reshape(_integers(shape), order="F" if fortran else "C")


def _integers(values: Any) -> tuple[int, ...]:
    """Return sizes or strides as non-negative integers.

    Raises `ValueError` if they are anything else.
    """
    plain = tuple(values) if isinstance(values, tuple | list) else None
    if plain is None or len(plain) > MAX_DIMENSIONS:
        raise ValueError("a tensor without a proper shape")
    if not all(type(value) is int and value >= 0 for value in plain):
        raise ValueError(f"a tensor of shape or stride {plain}")
    return plain


STORAGE_DTYPES: Mapping[str, str] = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


def storage_reference(identity: Any) -> StorageRef | Inert:
    """Return the storage that a persistent id `("storage", kind, key, place, count, …)` names."""
    if not (isinstance(identity, tuple) and len(identity) >= 5 and identity[0] == "storage"):
        return Inert("a persistent id")
    kind, key, count = identity[1], identity[2], identity[4]
    if not (isinstance(kind, Name) and type(count) is int and count >= 0):
        return Inert("a storage")
    module, _, name = kind.full.rpartition(".")
    if module not in ("torch", "torch.cuda") or name not in STORAGE_DTYPES:
        return Inert(kind.full)
    view = identity[5] if len(identity) > 5 else None
    start = 0
    if view is not None:
        _, start, _ = view
        (start,) = _integers((start,))
    return StorageRef(STORAGE_DTYPES[name], str(key), count, start)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_rest: Any) -> TensorRef | Inert:
    if not isinstance(storage, StorageRef):
        return Inert("a tensor of an unusual kind")
    shape, stride = _integers(shape), _integers(stride)
    (offset,) = _integers((offset,))
    if len(shape) != len(stride):
        raise ValueError("a tensor whose shape and stride differ in length")
    extent = 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    empty = 0 in shape
    begin = storage.start + offset
    if not empty and (begin + extent > storage.count or math.prod(shape) > storage.count):
        raise ValueError(f"a tensor of shape {shape} in a storage of {storage.count} elements")
    return TensorRef(storage, begin, shape, stride)


def _tensor_of_type(function: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    known = isinstance(function, Name) and function.full in _TENSORS
    return _TENSORS[function.full](*arguments) if known else Inert("a tensor subclass")


def _encoded(text: Any, encoding: Any = "utf-8") -> bytes | Inert:
    plain = isinstance(text, str) and encoding in ("latin1", "latin-1", "utf-8", "ascii")
    return text.encode(encoding) if plain else Inert("encoded text")


def _dtype(text: Any, *_rest: Any) -> NumpyDtype:
    plain = isinstance(text, str) and text[:1] in "fiub" and text[1:] in ("1", "2", "4", "8")
    return NumpyDtype(text if plain else "")


def _scalar(dtype: Any, data: Any = b"") -> Any:
    array = NumpyArray()
    array.restore((1, (), dtype, False, data))
    return Inert("a numpy scalar") if array.values is None else array.values.item()


def _mapping(*arguments: Any) -> dict[Any, Any]:
    pairs = arguments[-1] if arguments else ()
    if isinstance(pairs, dict):
        return dict(pairs)
    return {pair[0]: pair[1] for pair in pairs if isinstance(pair[0], str | int)}


def _sequence(items: Any = ()) -> tuple[Any, ...]:
    return tuple(items) if isinstance(items, list | tuple) else ()


_TENSORS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_parameter": lambda data, *_rest: data,
}

REBUILD: dict[str, Callable[..., Any]] = {
    **_TENSORS,
    "torch._tensor._rebuild_from_type_v2": _tensor_of_type,
    "torch.Size": _sequence,
    "collections.OrderedDict": lambda *arguments: _mapping(*arguments[:1]),
    "collections.defaultdict": lambda *_arguments: {},
    "collections.Counter": _mapping,
    "builtins.set": _sequence,
    "builtins.bytes": lambda *arguments: Inert("bytes") if arguments else b"",
    "_codecs.encode": _encoded,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": lambda *_arguments: NumpyArray(),
    "numpy._core.multiarray._reconstruct": lambda *_arguments: NumpyArray(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
}
