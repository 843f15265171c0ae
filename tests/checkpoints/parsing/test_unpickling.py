"""The pickle interpreter against hostile pickles and against torch's own unpickler."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pickled_call import Call

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.parsing.rebuilding import Inert, Name, NumpyArray, TensorRef
from posebench.checkpoints.parsing.unpickling import read_pickle
from posebench.errors import CheckpointError, UnsafeCheckpointError


def hostile(canary: Path) -> dict[str, Any]:
    command = f"touch {canary}"
    return {
        "os.system": Call(os.system, command),
        "eval": Call(eval, f"open({str(canary)!r}, 'w').close()"),
        "exec": Call(exec, f"open({str(canary)!r}, 'w').close()"),
        "subprocess": Call(subprocess.call, ["touch", str(canary)]),
        "open": Call(open, str(canary), "w"),
    }


@pytest.mark.parametrize("attack", ["os.system", "eval", "exec", "subprocess", "open"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_calls_are_refused_and_not_run(attack: str, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    data = pickle.dumps({"state_dict": hostile(canary)[attack]}, protocol=protocol)
    with pytest.raises(UnsafeCheckpointError, match="Nothing was run"):
        read_pickle(io.BytesIO(data))
    assert not canary.exists()
    # The control: Python's own unpickler does run it.
    opened = pickle.loads(data)["state_dict"]
    if hasattr(opened, "close"):
        opened.close()
    assert canary.exists()


@pytest.mark.parametrize("legacy", [True, False])
def test_hostile_torch_files_are_refused(legacy: bool, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "hostile.pth"
    state = {"backbone.conv1.weight": torch.zeros(2), "x": hostile(canary)["os.system"]}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsafeCheckpointError, match=r"hostile\.pth.*system"):
        load_checkpoint(path)
    assert not canary.exists()


def test_attribute_chains_end_in_inert_records(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    # getattr(getattr(torch, "os"), "system")("touch canary"), names that look harmless one by one
    program = (
        b"cbuiltins\ngetattr\n(cbuiltins\ngetattr\n(ctorch\nserialization\nVos\ntRVsystem\ntR"
        + f"(Vtouch {canary}\ntR.".encode()
    )
    value = read_pickle(io.BytesIO(program)).value
    assert isinstance(value, Inert)
    assert not canary.exists()
    pickle.loads(program)
    assert canary.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02\x82\x01.",  # EXT1
        b"(ios\nsystem\n.",  # INST
        b"(cos\nsystem\no.",  # OBJ
        b"\x80\x05\x97.",  # NEXT_BUFFER
    ],
)
def test_opcodes_that_no_checkpoint_needs_are_refused(program: bytes) -> None:
    with pytest.raises(UnsafeCheckpointError):
        read_pickle(io.BytesIO(program))


def test_state_cannot_be_built_into_names() -> None:
    program = b"ccollections\nOrderedDict\n}Vupdate\nVhacked\nsb."
    before = OrderedDict.update
    value = read_pickle(io.BytesIO(program)).value
    assert isinstance(value, Name)
    assert OrderedDict.update is before


def test_deep_nesting_as_a_key_does_not_overflow_the_stack() -> None:
    deep = b"\x80\x02})" + b"\x85" * 100_000 + b"Vvalue\ns."
    (key,) = read_pickle(io.BytesIO(deep)).value
    assert isinstance(key, Inert)


@pytest.mark.parametrize("length", [0, 1, 5, 20, 60, 200])
def test_cut_off_pickles_are_damaged(length: int) -> None:
    data = pickle.dumps({"a": list(range(300)), "b": "text" * 10}, protocol=2)
    with pytest.raises(CheckpointError, match=r"cut off|last opcode"):
        read_pickle(io.BytesIO(data[:length]))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_equals_python_unpickler(protocol: int) -> None:
    shared = ["same"]
    value = {
        "numbers": [0, 1, -1, 255, 256, 65536, 2**31, -(2**40), 2**70, 1.5, -0.0, True, False],
        "texts": ["", "a", "ä\n", "x" * 300, b"", b"bytes", b"\xff" * 300],
        "nested": {"t": (), "t1": (1,), "t2": (1, 2), "t3": (1, 2, 3), "t4": (1, 2, 3, 4)},
        "none": None,
        "twice": [shared, shared],
        5: {1.5: "float key", None: "none key"},
    }
    data = pickle.dumps(value, protocol=protocol)
    assert read_pickle(io.BytesIO(data)).value == pickle.loads(data)


def test_pickletools_optimised_data_is_read_too() -> None:
    data = pickletools.optimize(pickle.dumps([{"a": 1}] * 3, protocol=4))
    assert read_pickle(io.BytesIO(data)).value == [{"a": 1}] * 3


@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64", ">f8"])
def test_numpy_arrays_keep_their_values(module: str, dtype: str) -> None:
    array = np.arange(12, dtype=dtype).reshape(3, 4)
    data = pickle.dumps(array, protocol=2)
    for written in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        data = data.replace(written, f"{module}.multiarray".encode())
    value = read_pickle(io.BytesIO(data)).value
    assert isinstance(value, NumpyArray)
    np.testing.assert_array_equal(value.values, array)


def test_objects_of_unknown_classes_become_inert(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("mmengine_like")

    class HistoryBuffer:
        def __init__(self) -> None:
            self.method = self.mean

        def mean(self) -> float:
            return 0.0

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = "mmengine_like", "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mmengine_like", module)
    data = pickle.dumps({"log": HistoryBuffer(), "weights": 1}, protocol=2)
    assert b"getattr" in data
    value = read_pickle(io.BytesIO(data)).value
    assert isinstance(value["log"], Inert)
    assert value["weights"] == 1


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [((1000,), (1,), 0), ((2,), (1,), 9), ((2, 2), (100, 1), 0), ((100,), (0,), 0)],
)
def test_tensors_beyond_their_storage_are_refused(
    shape: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> None:
    class Storage:
        pass

    class Writer(pickle.Pickler):
        def persistent_id(self, item: Any) -> Any:
            return (
                ("storage", torch.FloatStorage, "0", "cpu", 10)
                if isinstance(item, Storage)
                else None
            )

    stream = io.BytesIO()
    rebuild = torch._utils._rebuild_tensor_v2
    Writer(stream, protocol=2).dump(
        Call(rebuild, Storage(), offset, shape, stride, False, OrderedDict())
    )
    stream.seek(0)
    with pytest.raises(CheckpointError, match="in a storage of 10"):
        read_pickle(stream)


def test_tensor_references_tell_shape_and_place() -> None:
    stream = io.BytesIO()
    torch.save({"w": torch.zeros(4, 6).t()[2:]}, stream, _use_new_zipfile_serialization=False)
    stream.seek(0)
    for _ in range(3):
        read_pickle(stream)
    pickled = read_pickle(stream)
    reference = pickled.value["w"]
    assert isinstance(reference, TensorRef)
    assert (reference.shape, reference.stride, reference.offset) == ((4, 4), (1, 6), 2)
    assert [storage.count for storage in pickled.storages.values()] == [24]
