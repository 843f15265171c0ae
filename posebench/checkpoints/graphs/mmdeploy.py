"""MMDeploy's SDK archives, the `end2end` zips that OpenMMLab and rtmlib publish.

Files and fields: `mmdeploy/backend/sdk/export_info.py`. Nothing is unpacked to the disk.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from posebench.checkpoints.findings import Finding
from posebench.checkpoints.graphs.graphs import PARTS, GraphFile, GraphFormat
from posebench.checkpoints.publishers.mmsettings import find_settings
from posebench.errors import CheckpointError

# Protobuf cannot hold more; neither does any published pose network.
MAX_GRAPH = 2**31
MAX_JSON = 4 * 2**20
# Trained weights hardly compress: an entry packed more tightly than this is not a network.
MAX_RATIO = 30
_PIECE = 2**20
_DAMAGED = "Download or copy the file again and compare its size with the publisher's."
_SUFFIXES: dict[str, GraphFormat] = {".onnx": "onnx", ".xml": "openvino"}
_TO_UNPACK = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".pth", ".pt", ".safetensors")


@dataclass(frozen=True)
class _Archive:
    """An open archive and its files, without folders."""

    name: str
    file: zipfile.ZipFile
    entries: tuple[zipfile.ZipInfo, ...]

    def ending(self, *suffixes: str) -> list[zipfile.ZipInfo]:
        return [each for each in self.entries if each.filename.lower().endswith(suffixes)]


def holds_graph(path: Path) -> bool:
    """Tell whether a zip file is an archive of networks, not one that `torch.save` wrote."""
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return False
    return not any(name.endswith("/data.pkl") for name in names) and any(
        name.lower().endswith((*_SUFFIXES, *_TO_UNPACK)) for name in names
    )


def read_file(path: Path) -> GraphFile:
    """Read the graph of an archive and the facts in its `pipeline.json` and `detail.json`.

    Raises `CheckpointError` if there is not exactly one graph, if an entry claims more bytes than
    it can hold, or if the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            entries = tuple(each for each in file.infolist() if not each.is_dir())
            return _graph_of(_Archive(path.name, file, entries))
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError,
        OSError,
    ) as error:  # fmt: skip
        raise CheckpointError(
            f"The zip archive is cut off, damaged or encrypted ({error}).", hint=_DAMAGED
        ) from None


def _graph_of(archive: _Archive) -> GraphFile:
    graphs = archive.ending(*_SUFFIXES)
    if len(graphs) != 1:
        inside = [each.filename for each in graphs or archive.ending(*_TO_UNPACK)][:5]
        what = f"{len(graphs)} networks" if graphs else "files to unpack"
        raise CheckpointError(
            f"{archive.name} holds {what}, not one network ({', '.join(inside)}).",
            hint="Unpack it and give one of them.",
        )
    main = graphs[0]
    kind = _SUFFIXES[PurePosixPath(main.filename.lower()).suffix]
    files = {PARTS[kind][0]: main}
    if kind == "openvino":
        weights = [each for each in archive.entries if each.filename == f"{main.filename[:-4]}.bin"]
        if len(weights) != 1:
            raise CheckpointError(f"{archive.name} holds {main.filename} without its .bin file.")
        files["openvino.bin"] = weights[0]
    return GraphFile(
        name=archive.name,
        format=kind,
        parts={name: _contents(archive, entry, MAX_GRAPH) for name, entry in files.items()},
        findings=_findings(_json(archive, "pipeline.json")),
        provenance=_provenance(_json(archive, "detail.json")),
    )


def _contents(archive: _Archive, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """Read an entry piece by piece.

    Raises `CheckpointError` if it claims too many bytes.
    """
    if entry.file_size > limit:
        raise CheckpointError(
            f"Entry {entry.filename} claims {entry.file_size} bytes; {limit} are allowed."
        )
    if entry.file_size > MAX_RATIO * max(entry.compress_size, _PIECE):
        raise CheckpointError(
            f"Entry {entry.filename} claims {entry.file_size} bytes, packed into"
            f" {entry.compress_size}: no network compresses like that."
        )
    data = bytearray()
    with archive.file.open(entry) as stream:
        # The stream ends at the claimed size, even if more is packed.
        while piece := stream.read(_PIECE):
            data += piece
    return bytes(data)


def _json(archive: _Archive, name: str) -> Mapping[str, Any]:
    """Return the record in the file of that name, in any folder; empty if there is none."""
    found = [each for each in archive.entries if PurePosixPath(each.filename).name == name]
    if not found:
        return {}
    try:
        record = json.loads(_contents(archive, found[0], MAX_JSON))
    except (ValueError, RecursionError):
        record = None
    if len(found) > 1 or not isinstance(record, dict):
        raise CheckpointError(f"{archive.name} holds {name} twice, or a damaged one.")
    return record


def _findings(pipeline: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return the findings from `pipeline.json`, read as the config that it was made from."""
    steps, params = _steps(pipeline), _parameters(pipeline)
    by_kind = {str(step.get("type", "")).lower(): step for step in steps}
    config: dict[str, Any] = {"model": {}, "test_pipeline": []}
    if str(params.get("type", "")) and "input_size" in params:
        config["codec"] = params
    normalise = by_kind.get("normalize")
    if normalise is not None:
        config["model"]["data_preprocessor"] = {
            "mean": normalise.get("mean"),
            "std": normalise.get("std"),
            "bgr_to_rgb": normalise.get("to_rgb", True),
        }
    if "flip_test" in params:
        config["model"]["test_cfg"] = params
    for kind, name in (
        ("topdownaffine", "TopdownAffine"),
        ("topdowngetbboxcenterscale", "GetBBoxCenterScale"),
    ):
        if kind in by_kind:
            config["test_pipeline"].append({**by_kind[kind], "type": name})
    return tuple(
        replace(each, why=each.why.replace("meta.cfg", "pipeline.json"))
        for each in find_settings(config)
    )


def _steps(pipeline: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the transforms of the tasks, in order."""
    steps = [step for task in _tasks(pipeline) for step in _list(task.get("transforms"))]
    return [step for step in steps if isinstance(step, Mapping)]


def _parameters(pipeline: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of the task that decodes."""
    found = [task["params"] for task in _tasks(pipeline) if isinstance(task.get("params"), Mapping)]
    return found[-1] if found else {}


def _tasks(pipeline: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner = pipeline.get("pipeline")
    tasks = _list(inner.get("tasks")) if isinstance(inner, Mapping) else []
    return [task for task in tasks if isinstance(task, Mapping)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _provenance(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names of the checkpoint and config that an archive was made from."""
    codebase = detail.get("codebase")
    record = codebase if isinstance(codebase, Mapping) else {}
    found = {"checkpoint": record.get("pth"), "config": record.get("config")}
    names = {
        key: PurePosixPath(value).name for key, value in found.items() if isinstance(value, str)
    }
    version = detail.get("version")
    return {**names, "mmdeploy": version} if isinstance(version, str) else names
