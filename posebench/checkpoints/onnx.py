"""ONNX files with heatmap or SimCC outputs, run by onnxruntime (extra `onnx`).

Output names `simcc_x`, `simcc_y` are those of MMDeploy's exports of RTMPose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from posebench.checkpoints.contents import Contents, Identity
from posebench.checkpoints.findings import (
    Finding,
    keypoints_by_count,
    settle,
    spec_from_findings,
)
from posebench.checkpoints.onnx_file import read_onnx_facts
from posebench.checkpoints.report import LoadReport
from posebench.errors import CheckpointError, UnsupportedSizeError
from posebench.sizes import InputSize
from posebench.spec import IMAGENET_MEAN, IMAGENET_STD, ModelSpec

DEFAULT_SIZE = InputSize(256, 192)
_ERRORS_ONLY = 3
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_SIMCC_NAMES = ("simcc_x", "simcc_y")
# A file does not tell its backbone's stride; this one is right for every published SimCC network.
_SIMCC_STRIDE = 32
_ASSUMED = "assumed for ONNX; --spec overrules"


@dataclass(frozen=True)
class Graph:
    """An open session and the shape of its input; None stands for a free axis."""

    session: Any
    input_name: str
    dtype: type[np.generic]
    batch: int | None
    fixed_size: InputSize | None

    def run(self, crops: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        """Run one batch, of the fixed size if there is one."""
        try:
            results: list[np.ndarray] = self.session.run(
                list(outputs), {self.input_name: np.ascontiguousarray(crops, self.dtype)}
            )
        except Exception as error:  # onnxruntime's errors share no base class but this
            raise CheckpointError(f"onnxruntime could not run the file: {error}") from None
        return results


@dataclass(frozen=True)
class Outputs:
    """Which outputs are the answer, in order, and what their shapes say."""

    names: tuple[str, ...]
    findings: tuple[Finding, ...]
    stride: int


@dataclass(frozen=True)
class OnnxNetwork:
    """A network run by onnxruntime on the CPU.

    `fixed_size` is the only input size the file takes, or None. `stride` counts pixels per cell
    of the heatmaps.
    """

    spec: ModelSpec
    stride: int
    graph: Graph
    outputs: tuple[str, ...]

    @property
    def fixed_size(self) -> InputSize | None:
        """The only input size that the file takes, or None."""
        return self.graph.fixed_size

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W) to `(heatmaps,)` or `(simcc_x, simcc_y)`."""
        size, fixed = InputSize(x.shape[2], x.shape[3]), self.fixed_size
        if fixed is not None and size != fixed:
            raise UnsupportedSizeError(
                f"This ONNX file takes crops of {fixed} alone, not {size}.",
                hint="Use the policy resample, or export the network with free axes.",
            )
        crops = x.detach().cpu().numpy()
        step = self.graph.batch or max(len(crops), 1)
        parts = [self._run(crops[start : start + step]) for start in range(0, len(crops), step)]
        return tuple(
            torch.from_numpy(np.concatenate(arrays).astype(np.float32, copy=False))
            for arrays in zip(*parts, strict=True)
        )

    def _run(self, crops: np.ndarray) -> list[np.ndarray]:
        """Run up to one batch; a fixed batch is filled up with zeros."""
        count, batch = len(crops), self.graph.batch or len(crops)
        if count < batch:
            filler = np.zeros((batch - count, *crops.shape[1:]), crops.dtype)
            crops = np.concatenate((crops, filler))
        return [array[:count] for array in self.graph.run(crops, self.outputs)]


def identify(path: Path, overrides: tuple[Finding, ...]) -> Identity:
    """Find what an ONNX file is from its names and shapes."""
    identity, _, _ = _identify(path, overrides)
    return identity


def load(path: Path, overrides: tuple[Finding, ...]) -> Contents:
    """Load an ONNX file; its weights stay in the onnxruntime session."""
    identity, graph, outputs = _identify(path, overrides)
    spec = spec_from_findings(identity.findings, where=path.name)
    if graph.fixed_size not in (None, spec.input_size):
        raise CheckpointError(f"{path.name} takes {graph.fixed_size} alone, not {spec.input_size}.")
    network = OnnxNetwork(spec, outputs.stride, graph, outputs.names)
    parameters = read_onnx_facts(path).parameters
    return Contents(identity, spec, network, LoadReport(mapped=0), parameters or None)


def _identify(path: Path, overrides: tuple[Finding, ...]) -> tuple[Identity, Graph, Outputs]:
    graph = _open(path)
    size = _trained_size(graph, overrides)
    zeros = np.zeros((graph.batch or 1, 3, size.value.height, size.value.width), np.float32)
    names = [output.name for output in graph.session.get_outputs()]
    results = graph.run(zeros, names)
    shapes = {name: tuple(array.shape) for name, array in zip(names, results, strict=True)}
    outputs = find_outputs(shapes, size.value)
    crop = {"channels": "rgb", "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "udp": False}
    findings = (
        Finding("backbone.family", "onnx", "the file's format"),
        *outputs.findings,
        replace(size, value=str(size.value)),
        *(Finding(f"crop.{name}", value, _ASSUMED) for name, value in crop.items()),
        *overrides,
    )
    meta = graph.session.get_modelmeta()
    provenance = {"producer": meta.producer_name} if meta.producer_name else {}
    return Identity("onnx", settle(findings), provenance), graph, outputs


def _open(path: Path) -> Graph:
    try:
        import onnxruntime
    except ImportError:
        raise CheckpointError(
            f"Reading {path.name} needs onnxruntime, which is not installed.",
            hint='Run: pip install "posebench-pose[onnx]"',
        ) from None
    if read_onnx_facts(path).external:
        raise CheckpointError(
            f"{path.name} keeps weights in other files, which is refused: it could name any file.",
            hint="Save it as one file: onnx.save(onnx.load(FILE), NEW_FILE).",
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors share no base class but this
        raise CheckpointError(f"onnxruntime cannot open {path.name}: {error}") from None
    return _graph(session, path.name)


def _graph(session: Any, where: str) -> Graph:
    inputs = session.get_inputs()
    shape = list(inputs[0].shape) if len(inputs) == 1 else []
    sides = [side if isinstance(side, int) and side > 0 else None for side in shape]
    if len(sides) != 4 or sides[1] not in (3, None) or inputs[0].type not in _TYPES:
        listing = ", ".join(f"{each.name} {each.shape} {each.type}" for each in inputs)
        raise CheckpointError(
            f"{where} does not take one batch of crops (N, 3, H, W); its inputs: {listing}."
        )
    batch, _, height, width = sides
    if (height is None) != (width is None):
        raise CheckpointError(f"{where} fixes one side of its input, {shape}, but not the other.")
    fixed = InputSize(height, width) if height is not None and width is not None else None
    return Graph(session, inputs[0].name, _TYPES[inputs[0].type], batch, fixed)


def _trained_size(graph: Graph, overrides: tuple[Finding, ...]) -> Finding:
    """Return the trained size as an `InputSize` with its reason."""
    asked = next((found for found in overrides if found.field == "input_size"), None)
    if graph.fixed_size is not None:
        return Finding("input_size", graph.fixed_size, "the graph's input")
    if asked is not None:
        return Finding("input_size", InputSize.parse(str(asked.value)), asked.why)
    return Finding("input_size", DEFAULT_SIZE, "assumed: the graph's sides are free")


def find_outputs(shapes: Mapping[str, tuple[int, ...]], size: InputSize) -> Outputs:
    """Find heatmaps (N, K, h, w) or SimCC vectors (N, K, bins) among outputs run at `size`.

    Raise `CheckpointError` that lists the outputs where there is no one answer.
    """
    maps = [name for name, shape in shapes.items() if _is_heatmap(shape, size)]
    named = [name for name in maps if "heatmap" in name.lower()]
    maps = named if len(named) == 1 else maps
    pair = _simcc_pair(shapes, size)
    if pair is not None:
        (_, count, bins_x), _ = shapes[pair[0]], shapes[pair[1]]
        ratio = bins_x / size.width
        why = f"outputs {pair[0]}, {pair[1]}"
        return Outputs(pair, _found("simcc", "simcc", ratio, count, why), _SIMCC_STRIDE)
    if len(maps) == 1:
        _, count, height, _ = shapes[maps[0]]
        why = f"output {maps[0]} {shapes[maps[0]]}"
        return Outputs(
            (maps[0],), _found("heatmap", "heatmap", None, count, why), size.height // height
        )
    listing = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    raise CheckpointError(
        f"No one output is heatmaps (N, K, h, w), no two are SimCC vectors: {listing}.",
        hint="Export the network with its heatmaps, or simcc_x and simcc_y, as its outputs.",
    )


def _found(head: str, codec: str, ratio: float | None, count: int, why: str) -> tuple[Finding, ...]:
    found = [Finding("head.kind", head, why), Finding("codec.kind", codec, why)]
    if ratio is None:
        found.append(Finding("codec.decoder", "quarter", _ASSUMED))
    else:
        found.append(Finding("codec.split_ratio", ratio, why))
    return (*found, *keypoints_by_count(count))


def _is_heatmap(shape: tuple[int, ...], size: InputSize) -> bool:
    """Tell whether a shape is maps whose cells are whole, square pixels blocks of the input."""
    if len(shape) != 4 or min(shape) < 1:
        return False
    _, _, height, width = shape
    whole = size.height % height == 0 and size.width % width == 0
    return whole and size.height // height == size.width // width and height * width > 1


def _simcc_pair(shapes: Mapping[str, tuple[int, ...]], size: InputSize) -> tuple[str, str] | None:
    """Return the names of x and y vectors whose bins are the input's sides times one ratio."""
    vectors = [name for name, shape in shapes.items() if len(shape) == 3]
    if set(_SIMCC_NAMES) <= set(vectors):
        vectors = list(_SIMCC_NAMES)
    if len(vectors) != 2:
        return None
    for x, y in (tuple(vectors), tuple(reversed(vectors))):
        ratio_x, ratio_y = shapes[x][2] / size.width, shapes[y][2] / size.height
        if shapes[x][1] == shapes[y][1] and math.isclose(ratio_x, ratio_y) and ratio_x >= 0.5:
            return x, y
    return None
