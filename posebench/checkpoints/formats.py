"""Recognise the format of a checkpoint file by its first bytes rather than its name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from posebench.checkpoints.graphs import mmdeploy
from posebench.checkpoints.parsing.other_runtimes import refuse_other_runtimes
from posebench.errors import CheckpointError
from posebench.files.inputs import not_a_file

Format = Literal["torch", "safetensors", "onnx", "openvino", "mmdeploy", "huggingface"]
_HEAD = 512
# White space, and the byte order mark that some editors put before text.
_BLANK = b" \t\r\n\xef\xbb\xbf"
_SAFETENSORS_HEADER = 8
_ZIP = b"PK\x03\x04"
_MODEL_FOLDER = ("config.json", "model.safetensors")
READABLE = (
    "Readable: .pth of torch.save, .safetensors, .onnx, OpenVINO .xml, MMDeploy .zip, and"
    " folders that transformers' save_pretrained writes."
)
_AGAIN = "Download the file again: this is not the checkpoint itself."
# First bytes, the format that they mark, and what to do about it.
_MISTAKES = (
    (b"\xff\xd8\xff", "a JPEG image", "Give the checkpoint file, not an image."),
    (b"\x89PNG", "a PNG image", "Give the checkpoint file, not an image."),
    (b"version https://git-lfs", "a git-lfs pointer", "Run `git lfs pull` to get the file itself."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (b"BZh", "a bzip2 archive", "Unpack it first."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it first."),
    (b"Rar!", "a RAR archive", "Unpack it first."),
    (b"\x89HDF", "an HDF5 (Keras) file", "Export the network to ONNX."),
    (b"%PDF", "a PDF", "Give the checkpoint file."),
)


def recognise_format(path: Path) -> Format:
    """Return the format of a checkpoint.

    Raises `CheckpointError` if it is anything else.
    """
    if path.is_dir():
        return _recognise_folder(path)
    try:
        other = not_a_file(path)
        if other is not None:
            raise CheckpointError(f"{path} is {other}, not a checkpoint.", hint=READABLE)
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:
        raise CheckpointError(f"There is no file {path}.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from None
    if not head:
        raise CheckpointError(f"{path} is empty.", hint=_AGAIN)
    refuse_other_runtimes(path, head)
    if head[_SAFETENSORS_HEADER : _SAFETENSORS_HEADER + 1] == b"{":
        return "safetensors"
    if head.startswith(_ZIP):
        return "mmdeploy" if mmdeploy.holds_graph(path) else "torch"
    if head.startswith(b"\x80"):
        return "torch"
    for start, what, hint in _MISTAKES:
        if head.startswith(start):
            raise CheckpointError(f"{path} is {what}, not a checkpoint.", hint=hint)
    text = head.lstrip(_BLANK).lower()
    if text.startswith(b"<"):
        if text.startswith((b"<!doctype html", b"<html")) or b"<html" in text:
            raise CheckpointError(f"{path} is a web page, not a checkpoint.", hint=_AGAIN)
        return "openvino"
    if path.suffix == ".bin" and path.with_suffix(".xml").is_file():
        raise CheckpointError(
            f"{path} holds the weights of an OpenVINO network.",
            hint=f"Give the file beside it: {path.with_suffix('.xml').name}.",
        )
    # An ONNX file is a protobuf that begins with its version, field 1 as a varint.
    if head[:1] == b"\x08" or path.suffix == ".onnx":
        return "onnx"
    raise CheckpointError(
        f"{path} is not a checkpoint that can be read.",
        hint=READABLE,
    )


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files that hold a checkpoint's weights: two for an OpenVINO network."""
    if path.is_dir():
        return (path / _MODEL_FOLDER[1],)
    weights = path.with_suffix(".bin")
    return (path, weights) if path.suffix == ".xml" and weights.is_file() else (path,)


def _recognise_folder(folder: Path) -> Format:
    refuse_other_runtimes(folder, b"")
    missing = [name for name in _MODEL_FOLDER if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"The folder {folder} has no {missing[0]}.",
            hint="Readable folders are those that transformers' save_pretrained writes, with all"
            " weights in one file.",
        )
    return "huggingface"
