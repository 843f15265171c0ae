"""Exported networks of any format to a spec and a `Network` that runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.checkpoints import file_names
from posebench.checkpoints.contents import Contents, Identity
from posebench.checkpoints.findings import ZOO, Finding, settle, spec_from_findings
from posebench.checkpoints.graphs import mmdeploy, onnx, openvino
from posebench.checkpoints.graphs.graph_outputs import ASSUMED, Outputs, find_outputs
from posebench.checkpoints.graphs.graphs import GraphFile, GraphFormat, Session
from posebench.checkpoints.graphs.normalisation import crop_findings
from posebench.checkpoints.graphs.trial import Trial, try_out
from posebench.checkpoints.load_report import LoadReport
from posebench.errors import CheckpointError, UnsupportedSizeError
from posebench.networks.sizes import InputSize
from posebench.networks.spec import IMAGENET_MEAN, IMAGENET_STD, ModelSpec

DEFAULT_SIZE = InputSize(256, 192)
_OPEN: dict[GraphFormat, Callable[[GraphFile], Session]] = {
    "onnx": onnx.open_session,
    "openvino": openvino.open_session,
}
# The file formats that hold a graph.
GRAPH_READERS: dict[str, Callable[[Path], GraphFile]] = {
    "onnx": onnx.read_file,
    "openvino": openvino.read_file,
    "mmdeploy": mmdeploy.read_file,
}
# Fields that the graph itself fixes: neither the file's metadata nor `--spec` can change them.
_MEASURED = ("head.kind", "codec.kind", "codec.split_ratio")


@dataclass(frozen=True)
class ExportedNetwork:
    """A network that a runtime runs on the CPU.

    `stride` counts pixels per cell of the heatmaps.
    """

    spec: ModelSpec
    stride: int
    session: Session
    outputs: tuple[str, ...]

    @property
    def fixed_size(self) -> InputSize | None:
        """The only input size that the file takes, or None."""
        return self.session.facts.input.fixed_size

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W) to outputs, as `PoseModel` does."""
        size, fixed = InputSize(x.shape[2], x.shape[3]), self.fixed_size
        if fixed is not None and size != fixed:
            raise UnsupportedSizeError(
                f"This exported file takes crops of {fixed} alone, not {size}.",
                hint="Use the policy resample, or export the network with free axes.",
            )
        crops = self.session.facts.input.crops(x.detach().cpu().numpy())
        step = self.session.facts.input.batch or max(len(crops), 1)
        parts = [self._run(crops[start : start + step]) for start in range(0, len(crops), step)]
        return tuple(
            torch.from_numpy(np.concatenate(arrays).astype(np.float32, copy=False))
            for arrays in zip(*parts, strict=True)
        )

    def _run(self, crops: NDArray[np.generic]) -> list[NDArray[np.generic]]:
        """Run up to one batch; a fixed batch is filled up with zeros."""
        count, batch = len(crops), self.session.facts.input.batch or len(crops)
        if count < batch:
            filler = np.zeros((batch - count, *crops.shape[1:]), crops.dtype)
            crops = np.concatenate((crops, filler))
        return [array[:count] for array in self.session.run(crops, self.outputs)]


def identify_graph(file: GraphFile, overrides: tuple[Finding, ...]) -> Identity:
    """Identify an exported file by its names and shapes, and by what lies beside it."""
    return _identify(file, overrides)[0]


def load_graph(file: GraphFile, overrides: tuple[Finding, ...]) -> Contents:
    """Load an exported file; its weights stay in the runtime's session.

    Raises `CheckpointError` if the graph contradicts what the file or `--spec` says.
    """
    identity, outputs, session = _identify(file, overrides)
    spec = spec_from_findings(identity.findings, where=file.name)
    facts = session.facts
    if facts.input.fixed_size not in (None, spec.input_size):
        raise CheckpointError(
            f"{file.name} takes {facts.input.fixed_size} alone, not {spec.input_size}."
        )
    per_keypoint = spec.codec.channels
    if len(spec.keypoints) * per_keypoint != outputs.channels:
        raise CheckpointError(
            f"{file.name} has {outputs.channels} output channels, not {per_keypoint} for each of"
            f" the {len(spec.keypoints)} keypoints of {spec.keypoints.name}."
        )
    network = ExportedNetwork(spec, outputs.stride, session, outputs.names)
    return Contents(identity, spec, network, LoadReport(mapped=0), facts.parameters or None)


def _identify(file: GraphFile, overrides: tuple[Finding, ...]) -> tuple[Identity, Outputs, Session]:
    sizes = (*file_names.find_size(file.name), *file.findings, *overrides)
    trial = try_out(file, _told_size(sizes))
    session = _OPEN[file.format](file)
    facts = session.facts
    beside = (*facts.findings, *file.findings)
    told = (*beside, *overrides)
    regression = any((each.field, each.value) == ("codec.kind", "regression") for each in told)
    outputs = find_outputs(trial.shapes, trial.size, told_regression=regression)
    _check_finite(file, trial, outputs)
    _check_told(outputs, told)
    # The zoo knows the weights, not the operations that an export put before them.
    said = tuple(found for found in told if not found.why.startswith(ZOO))
    pixels = crop_findings(trial.pixels, facts.input, said, where=file.name)
    size = str(trial.size)
    fixed = Finding("input_size", size, "the graph's input")
    crop = {"channels": "rgb", "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "udp": False}
    guesses = (
        Finding("backbone.family", file.format, "the file's format"),
        *outputs.findings,
        Finding("input_size", size, "assumed: the graph's sides are free"),
        *(Finding(f"crop.{name}", value, ASSUMED) for name, value in crop.items()),
        *pixels,
        *_named(file.name, outputs),
    )
    findings = (
        *guesses,
        *_flip_shift((*guesses, *told)),
        *beside,
        *((fixed,) if facts.input.fixed_size else ()),
        *overrides,
    )
    provenance = {**facts.provenance, **file.provenance}
    return Identity(file.format, settle(findings), provenance), outputs, session


def _named(name: str, outputs: Outputs) -> tuple[Finding, ...]:
    """Return the facts in a file's name that its graph does not contradict."""
    found = {finding.field: finding.value for finding in outputs.findings}
    decoder = file_names.find_decoder(name) if found["codec.kind"] == "heatmap" else ()
    regress = any(finding.value == "udp-regress" for finding in decoder)
    count = outputs.channels // 3 if regress else outputs.channels
    keypoints = file_names.find_keypoints(name, count)
    return (*file_names.find_size(name), *decoder, *keypoints)


def _flip_shift(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the finding that flipped heatmaps shift by a cell, which holds without UDP."""
    found = {finding.field: finding.value for finding in findings}
    if found["codec.kind"] != "heatmap" or found["crop.udp"]:
        return ()
    return (Finding("flip.shift_heatmap", True, "assumed: without UDP; --spec overrules"),)


def _told_size(told: tuple[Finding, ...]) -> InputSize:
    """Return the last of the input sizes found, or the usual one."""
    sizes = [InputSize.parse(str(found.value)) for found in told if found.field == "input_size"]
    return sizes[-1] if sizes else DEFAULT_SIZE


def _check_finite(file: GraphFile, trial: Trial, outputs: Outputs) -> None:
    broken = [name for name in outputs.names if name in trial.broken]
    if broken:
        raise CheckpointError(
            f"{file.name} answers a blank crop with NaN or infinite values in {broken[0]}.",
            hint="The training or the export that wrote this file went wrong, or it is damaged.",
        )


def _check_told(outputs: Outputs, told: tuple[Finding, ...]) -> None:
    """Raise `CheckpointError` if the graph contradicts a finding."""
    measured = {found.field: found for found in outputs.findings if found.field in _MEASURED}
    for found in told:
        graph = measured.get(found.field)
        if graph is not None and found.value != graph.value:
            raise CheckpointError(
                f"{found.why} says {found.field} {found.value}, the graph has {graph.value}"
                f" ({graph.why})."
            )
