"""Read a pickle as plain data, with an interpreter that cannot call anything.

Python's unpickler imports and calls what a file names. This one steps through the opcodes that
`pickletools.genops` lists and builds records: a tensor becomes a `TensorRef`, and anything else
that a file wants to construct becomes an `Inert`. Formats: `torch.save` (torch/serialization.py).
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from posebench.checkpoints.parsing.rebuilding import (
    REBUILD,
    Inert,
    Name,
    NumpyArray,
    NumpyDtype,
    StorageRef,
    storage_reference,
)
from posebench.errors import CheckpointError, UnsafeCheckpointError

MAX_OPERATIONS = 20_000_000

# These names are known to act on the machine. The table only chooses the words of the error: names
# outside it are not called either.
_ACTS = frozenset({
    "os", "posix", "nt", "subprocess", "commands", "popen2", "pty", "platform", "signal", "shutil",
    "tempfile", "glob", "io", "_io", "socket", "urllib", "http", "requests", "ftplib", "smtplib",
    "webbrowser", "asyncio", "multiprocessing", "threading", "ctypes", "code", "codeop", "runpy",
    "importlib", "pip", "inspect", "types", "operator", "functools", "pickle", "_pickle",
    "marshal", "sys", "timeit", "pdb", "bdb", "builtins",
})  # fmt: skip
_HARMLESS_BUILTINS = frozenset({
    "getattr", "set", "frozenset", "bytearray", "bytes", "complex", "slice", "range", "int",
    "float", "str", "list", "dict", "tuple", "bool", "object", "type", "Exception",
})  # fmt: skip


class ByteStream(Protocol):
    """What `pickletools` reads from: a file, a memory map, a `BytesIO`."""

    def read(self, count: int = ..., /) -> bytes: ...

    def readline(self) -> bytes: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class Pickled:
    """A pickled object as plain data, and every storage that it names, by key."""

    value: Any
    storages: Mapping[str, StorageRef]


def read_pickle(stream: ByteStream) -> Pickled:
    """Read the next pickled object of `stream` as plain data and inert records.

    The stream is left after the object. Raises `UnsafeCheckpointError` if the pickle names
    something that acts on the machine, and `CheckpointError` if it is damaged.
    """
    machine = _Machine([], [], {}, {})
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
            if count > MAX_OPERATIONS:
                raise CheckpointError("The pickle in this file is larger than any checkpoint's.")
            if opcode.name == "STOP":
                return Pickled(machine.stack.pop(), machine.storages)
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise CheckpointError(
            f"The pickle in this file is damaged or cut off ({error}).",
            hint="Download or copy the file again and compare its size with the publisher's.",
        ) from None
    raise CheckpointError("The pickle in this file ends without its last opcode.")


@dataclass
class _Machine:
    """The state of one pickle program: the stack, the stacks below open marks, memo, storages."""

    stack: list[Any]
    marks: list[list[Any]]
    memo: dict[int, Any]
    storages: dict[str, StorageRef]

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise UnsafeCheckpointError(
                f"The pickle in this file uses {opcode}, which no checkpoint needs.",
                hint="Nothing was run. Get the file from its publisher again.",
            )

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def pop_many(self, count: int) -> tuple[Any, ...]:
        items = tuple(self.stack[-count:])
        if len(items) != count:
            raise ValueError("stack underflow")
        del self.stack[-count:]
        return items


def _mark(machine: _Machine, _: Any) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _pop(machine: _Machine, _: Any) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.since_mark()


def _remember(machine: _Machine, index: Any) -> None:
    machine.memo[len(machine.memo) if index is None else int(index)] = machine.stack[-1]


def _name(machine: _Machine, argument: Any) -> None:
    module, name = argument.split(" ", 1) if argument is not None else machine.pop_many(2)
    # The module's name in Python 2, and so in protocol 2.
    module = "builtins" if module == "__builtin__" else module
    full = f"{module}.{name}"
    root = str(module).split(".", maxsplit=1)[0]
    harmless = module == "builtins" and name in _HARMLESS_BUILTINS
    if root in _ACTS and not harmless:
        raise UnsafeCheckpointError(
            f"This file asks for {full} to be called when it is read. Nothing was run.",
            hint="A checkpoint needs no such thing: do not open the file with other programs, and"
            " get the weights from their publisher.",
        )
    machine.stack.append(Name(full))


def _reduce(machine: _Machine, _: Any) -> None:
    function, arguments = machine.pop_many(2)
    machine.stack.append(_rebuilt(function, arguments))


def _new_object_ex(machine: _Machine, _: Any) -> None:
    kind, arguments, _keywords = machine.pop_many(3)
    machine.stack.append(_rebuilt(kind, arguments))


def _rebuilt(function: Any, arguments: Any) -> Any:
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        return Inert("a call")
    rebuild = REBUILD.get(function.full)
    return Inert(function.full) if rebuild is None else rebuild(*arguments)


def _build(machine: _Machine, _: Any) -> None:
    state = machine.stack.pop()
    target = machine.stack[-1]
    if isinstance(target, NumpyArray | NumpyDtype):
        target.restore(state)


def _persistent(machine: _Machine, _: Any) -> None:
    storage = storage_reference(machine.stack.pop())
    if isinstance(storage, StorageRef):
        machine.storages[storage.key] = storage
    machine.stack.append(storage)


def _append(machine: _Machine, items: Sequence[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Inert):
        raise ValueError(f"cannot append to {type(target).__name__}")


def _set_items(machine: _Machine, items: Sequence[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, dict):
        target.update(_pairs(items))
    elif not isinstance(target, Inert):
        raise ValueError(f"cannot set items of {type(target).__name__}")


def _pairs(items: Sequence[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise ValueError("a key without a value")
    # Hashing a deeply nested tuple overflows the C stack, so only flat keys are hashed.
    return {
        key if isinstance(key, str | int | float | bytes | None) else Inert("a key"): value
        for key, value in zip(items[::2], items[1::2], strict=True)
    }


_LITERALS = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
})  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_ACTIONS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": lambda machine, _: machine.since_mark().clear(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "PUT": _remember,
    "BINPUT": _remember,
    "LONG_BINPUT": _remember,
    "MEMOIZE": _remember,
    "GET": lambda machine, index: machine.push(machine.memo[int(index)]),
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "FROZENSET": lambda machine, _: machine.push(machine.since_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.push(machine.pop_many(1)),
    "TUPLE2": lambda machine, _: machine.push(machine.pop_many(2)),
    "TUPLE3": lambda machine, _: machine.push(machine.pop_many(3)),
    "DICT": lambda machine, _: machine.push(_pairs(machine.since_mark())),
    "APPEND": lambda machine, _: _append(machine, machine.pop_many(1)),
    "APPENDS": lambda machine, _: _append(machine, machine.since_mark()),
    "ADDITEMS": lambda machine, _: _append(machine, machine.since_mark()),
    "SETITEM": lambda machine, _: _set_items(machine, machine.pop_many(2)),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.since_mark()),
    "GLOBAL": _name,
    "STACK_GLOBAL": _name,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_object_ex,
    "BUILD": _build,
    "BINPERSID": _persistent,
}
