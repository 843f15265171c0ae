"""Recognise networks in formats of other runtimes, by first bytes and names, and refuse them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from posebench.errors import CheckpointError

_TO_ONNX = (
    "Export the network to ONNX instead, from the code that trained it:"
    " torch.onnx.export(model, crops, 'net.onnx')."
)
# Formats by suffix: what each is, and how to get ONNX or a checkpoint instead.
_SUFFIXES: dict[str, tuple[str, str]] = {
    ".tflite": ("a TensorFlow Lite network", "Make ONNX of it: python -m tf2onnx.convert --tflite"),
    ".lite": ("a TensorFlow Lite network", "Make ONNX of it: python -m tf2onnx.convert --tflite"),
    ".engine": ("a TensorRT engine", "It runs on one kind of GPU alone: give the ONNX it is of."),
    ".trt": ("a TensorRT engine", "It runs on one kind of GPU alone: give the ONNX it is of."),
    ".plan": ("a TensorRT engine", "It runs on one kind of GPU alone: give the ONNX it is of."),
    ".param": ("an ncnn network", "Give the ONNX file or the checkpoint that it was made from."),
    ".pdmodel": ("a Paddle network", "Make ONNX of it: paddle2onnx --save_file net.onnx"),
    ".pdiparams": ("a Paddle network", "Make ONNX of it: paddle2onnx --save_file net.onnx"),
    ".pdparams": ("Paddle weights", "Export the network with Paddle, then paddle2onnx."),
    ".mlmodel": ("a Core ML network", _TO_ONNX),
    ".mlpackage": ("a Core ML network", _TO_ONNX),
    ".mlmodelc": ("a Core ML network", _TO_ONNX),
    ".pt2": ("a torch.export program", _TO_ONNX),
    ".pte": ("an ExecuTorch program", _TO_ONNX),
    ".mnn": ("an MNN network", "Give the ONNX file or the checkpoint that it was made from."),
    ".rknn": ("an RKNN network", "Give the ONNX file or the checkpoint that it was made from."),
    ".pb": ("a TensorFlow graph", "Make ONNX of it: python -m tf2onnx.convert"),
    ".keras": ("a Keras model", "Make ONNX of it: python -m tf2onnx.convert"),
}
# Offset and value of first bytes, and the suffix of the format that they mark.
_MAGIC = (
    (4, b"TFL3", ".tflite"),
    (0, b"ftrt", ".engine"),
    (0, b"ptrt", ".engine"),
    (0, b"7767517", ".param"),
    (4, b"ET12", ".pte"),
    (0, b"RKNN", ".rknn"),
)
_INSIDE = (
    ("saved_model.pb", "a TensorFlow model", "Make ONNX of it: python -m tf2onnx.convert"),
    ("Manifest.json", "a Core ML network", _TO_ONNX),
    ("inference.pdmodel", "a Paddle network", _SUFFIXES[".pdmodel"][1]),
)
_EXPORTED = ("archive_format", "serialized_exported_program.json")
_ZIP = b"PK\x03\x04"


def refuse_other_runtimes(path: Path, head: bytes) -> None:
    """Raise `CheckpointError`, naming the format, for another runtime's file or folder.

    `head` holds its first bytes; it is empty for a folder.
    """
    magic = (suffix for begin, start, suffix in _MAGIC if head[begin:].startswith(start))
    kind = _SUFFIXES.get(next(magic, path.suffix.lower()))
    if head.startswith(_ZIP) and _is_exported_program(path):
        kind = _SUFFIXES[".pt2"]
    if not head:
        inside = ((what, hint) for name, what, hint in _INSIDE if (path / name).is_file())
        kind = next(inside, kind)
    if kind is not None:
        what, hint = kind
        raise CheckpointError(f"{path} is {what}, which posebench does not run.", hint=hint)


def _is_exported_program(path: Path) -> bool:
    """Tell whether `torch.export.save` wrote a zip archive, in its older or newer layout."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return False
    return not names.isdisjoint(_EXPORTED)
