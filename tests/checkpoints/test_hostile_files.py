"""Damaged and hostile files: an error that says so, nothing run, little memory used."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from pickled_call import Call
from small_networks import config_text, make_model, save_mmpose
from small_onnx import save_heatmap
from small_openvino import save_heatmap as save_openvino

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.native import save_checkpoint
from posebench.errors import CheckpointError, PosebenchError


def record_call(monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> list[str]:
    """Replace a function by one that only records its calls, and return the record."""
    calls: list[str] = []

    def noted(*_: Any, **__: Any) -> None:
        calls.append(name)

    noted.__module__, noted.__qualname__ = where.__name__, name
    monkeypatch.setattr(where, name, noted)
    return calls


@pytest.mark.parametrize(
    ("where", "name"),
    [(torch.hub, "load"), (torch.jit, "load"), (torch, "load"), (torch, "compile")],
)
@pytest.mark.parametrize("legacy", [True, False])
def test_torch_functions_are_not_called(
    where: Any, name: str, legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.pth"
    calls = record_call(monkeypatch, where, name)
    content = {"state_dict": {"w": torch.zeros(2), "x": Call(getattr(where, name), "a")}}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=rf"'x' is an object of {where.__name__}\.{name}"):
        load_checkpoint(path)
    assert calls == []


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner, path = io.BytesIO(), tmp_path / "net.pth"
    torch.save({"w": torch.zeros(2)}, inner)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", inner.getvalue())
    with pytest.raises(CheckpointError, match="pickle in this file is damaged"):
        load_checkpoint(path)


def odd_tensor(kind: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch warns that quantised and sparse tensors are deprecated
        return {
            "complex": lambda: torch.zeros(17, 6, 1, 1, dtype=torch.complex64),
            "quantised": lambda: torch.quantize_per_tensor(
                torch.zeros(17, 6, 1, 1), 0.1, 0, torch.qint8
            ),
            "sparse": lambda: torch.zeros(17, 6).to_sparse(),
            "text": lambda: "weights",
            "list": lambda: [0.0] * 17,
            "integers": lambda: torch.zeros(17, 6, 1, 1, dtype=torch.int32),
            "bool": lambda: torch.zeros(17, 6, 1, 1, dtype=torch.bool),
        }[kind]()


@pytest.mark.parametrize(
    "kind", ["complex", "quantised", "sparse", "text", "list", "integers", "bool"]
)
def test_weights_that_are_no_floating_point_numbers(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    name = "head.final_layer.weight"
    state = {**make_model("heatmap").state_dict(), name: odd_tensor(kind)}
    torch.save({"meta": {"cfg": config_text("heatmap")}, "state_dict": state}, path)
    with pytest.raises(CheckpointError, match=r"head\.final_layer\.weight"):
        load_checkpoint(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value: float, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    model = save_mmpose(path, "rtmcc")
    state = model.state_dict()
    state["head.mlp.1.weight"] = torch.full_like(state["head.mlp.1.weight"], value)
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"NaN or infinite values, first: head\.mlp\.1"):
        load_checkpoint(path)


def safetensors_bytes(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


SAFETENSORS = {
    "a header of 100 GB": safetensors_bytes({}, length=100 * 2**30),
    "offsets that overlap": safetensors_bytes(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        },
        bytes(12),
    ),
    "data of 100 GB": safetensors_bytes(
        {"a": {"dtype": "F32", "shape": [25 * 2**30], "data_offsets": [0, 100 * 2**30]}}
    ),
    "a shape that overflows": safetensors_bytes(
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, bytes(8)
    ),
    "a deep header": (10**5).to_bytes(8, "little") + b'{"a":' + b"[" * 10**5,
}


@pytest.mark.parametrize("what", SAFETENSORS)
def test_safetensors_headers(what: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(SAFETENSORS[what])
    with pytest.raises(CheckpointError, match="damaged or cut off"):
        load_checkpoint(path)


def write_native(path: Path) -> None:
    save_checkpoint(path, make_model("heatmap"), {"recipe": "tiny"})


WRITERS: dict[str, Callable[[Path], Any]] = {
    "legacy.pth": lambda path: save_mmpose(path, "heatmap", legacy=True),
    "zip.pth": lambda path: save_mmpose(path, "heatmap", legacy=False),
    "net.safetensors": write_native,
    "net.onnx": lambda path: save_heatmap(path, [1, 3, 64, 48]),
    "net.xml": save_openvino,
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a good file of each format."""
    folder = tmp_path_factory.mktemp("good")
    for name, write in WRITERS.items():
        write(folder / name)
    return folder


def opens_or_is_refused(path: Path) -> None:
    """Load a changed file: any error other than `PosebenchError` is a bug and fails the test."""
    try:
        load_checkpoint(path)
    except PosebenchError as error:
        assert error.message


@pytest.mark.parametrize("name", WRITERS)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=4),
    front=st.booleans(),
    keep=st.one_of(st.none(), st.floats(0, 1)),
)
def test_changed_bytes(
    name: str,
    good: Path,
    tmp_path: Path,
    places: list[tuple[float, int]],
    front: bool,
    keep: float | None,
) -> None:
    data = bytearray((good / name).read_bytes())
    # Half of the changes are near the front, where names and sizes are; changed weights leave no
    # trace.
    reach = min(len(data), 4000) if front else len(data)
    for share, change in places:
        data[int(share * (reach - 1))] ^= change
    (tmp_path / name).write_bytes(data if keep is None else data[: int(keep * len(data))])
    if name == "net.xml":
        (tmp_path / "net.bin").write_bytes((good / "net.bin").read_bytes())
    opens_or_is_refused(tmp_path / name)


MEASURE = """
import resource, sys
from pathlib import Path
from posebench.checkpoints import load_checkpoint
from posebench.errors import PosebenchError

load_checkpoint(Path(sys.argv[1]))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    before = peak()
    try:
        load_checkpoint(Path(path))
        print("loaded", path)
    except PosebenchError:
        pass
    print(path, (peak() - before) // 1024)
"""


def doubled(index: int) -> bytes:
    """Return a pickle program for a list that holds the last remembered list twice."""
    remembered = b"h" + bytes([index])
    return b"](" + remembered * 2 + b"e\x94"


def bombs(folder: Path) -> list[Path]:
    """Write files that claim to hold, or unpack to, far more than their size."""
    for index, content in enumerate(SAFETENSORS.values()):
        (folder / f"{index}.safetensors").write_bytes(content)
    # A pickle of one storage of 100 GB, a tensor that repeats one number, a huge text,
    # and 40 lists that each hold the one before twice.
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nFloatStorage\nV0\nVcpu\n"
    for name, program in {
        "storage": tensor + b"L26843545600L\ntQL0L\n(L26843545600L\nt(L1L\ntI00\nNtR.",
        "zeros": tensor + b"L1L\ntQL0L\n(L26843545600L\nt(L0L\ntI00\nNtR.",
        "text": b"\x80\x04\x8d" + (100 * 2**30).to_bytes(8, "little") + b"x.",
        "laughs": b"\x80\x04}\x94Vw\n]\x94" + b"".join(map(doubled, range(1, 40))) + b"s.",
    }.items():
        with zipfile.ZipFile(folder / f"{name}.pth", "w") as archive:
            archive.writestr("net/data.pkl", program)
            archive.writestr("net/data/0", b"0000")
    with zipfile.ZipFile(folder / "zeros.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("end2end.onnx", np.zeros(2**26, np.uint8).tobytes())
    (folder / "huge.onnx").write_bytes(b"\x08\x08\x3a\xff\xff\xff\xff\x0f" + bytes(100))
    return sorted(folder.iterdir())


def test_memory_stays_bounded(good: Path, tmp_path: Path) -> None:
    files = [str(path) for path in (good / "zip.pth", *bombs(tmp_path))]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(files) - 1, lines
    grown = {line.split()[0]: int(line.split()[-1]) for line in lines}
    assert {path: size for path, size in grown.items() if size > 64} == {}
