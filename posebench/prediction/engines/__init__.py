"""Engines: what runs a network, and in which precision, behind one interface."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.errors import UnsupportedExecutionError
from posebench.networks.model import Network, PoseModel
from posebench.networks.policies import CellNetwork
from posebench.prediction.devices import allowing_tf32, check_device
from posebench.prediction.engines.compiled import compile_network
from posebench.prediction.engines.cuda_graphs import LAUNCHING, CudaNetwork, GraphedRuns
from posebench.prediction.engines.onnxruntime_engine import onnxruntime_network
from posebench.prediction.engines.openvino_engine import openvino_network
from posebench.prediction.engines.quantising import Calibration
from posebench.prediction.engines.torch_engine import DTYPES, TorchNetwork, is_optimised, optimised
from posebench.prediction.execution import Engine, Execution, Parallelism, Precision, usual_engine

# The precisions of each engine; whether this processor and network support one shows on trying.
PRECISIONS_OF: dict[Engine, tuple[Precision, ...]] = {
    "torch": ("fp32", "tf32", "bf16", "fp16"),
    "eager": ("fp32", "tf32"),
    "compile": ("fp32", "tf32", "bf16", "fp16"),
    "onnxruntime": ("fp32", "int8"),
    "openvino": ("fp32", "bf16", "fp16", "int8"),
}
# The engines and precisions that run each format of exported file, whose weights are out of reach.
_OF_FILES: dict[str, dict[Engine, tuple[Precision, ...]]] = {
    "onnx": {"onnxruntime": ("fp32",), "openvino": ("fp32", "bf16", "fp16")},
    "openvino": {"openvino": ("fp32", "bf16", "fp16")},
}


def check_execution(network: Network, execution: Execution, *, elsewhere: bool = False) -> None:
    """Check that nothing known beforehand keeps a network from running.

    The device need not be one of this machine if the network runs `elsewhere`.
    Raises `UnsupportedExecutionError` if the engine cannot run it, or not in this precision or on
    this device.
    """
    if not elsewhere:
        check_device(execution.device)
    engine = execution.engine or own_engine(network)
    offered = PRECISIONS_OF
    if isinstance(network, ExportedNetwork):
        offered = _OF_FILES[network.spec.backbone.family]
    if engine not in offered:
        raise UnsupportedExecutionError(
            f"This file was exported: its weights are out of reach of the engine {engine}.",
            hint=f"Leave out --engine, or choose {' or '.join(offered)}.",
        )
    if execution.precision not in offered[engine]:
        raise UnsupportedExecutionError(
            f"The engine {engine} does not run this network in {execution.precision}.",
            hint=f"It runs it in {', '.join(offered[engine])}.",
        )
    if execution.precision == "tf32" and execution.device == "cpu":
        raise UnsupportedExecutionError(
            "tf32 is a precision of NVIDIA's GPUs: a CPU computes float32 as fp32.",
            hint="Choose the precision fp32, or a device such as cuda.",
        )
    if execution.device != "cpu" and engine in ("onnxruntime", "openvino"):
        raise UnsupportedExecutionError(
            f"The engine {engine} runs on the CPU only, not on {execution.device}.",
            hint="Choose the engine torch, eager or compile.",
        )


def own_engine(network: Network) -> Engine:
    """Return the engine that runs a network by default."""
    return usual_engine(network.spec.backbone.family)


def optimise(network: Network, execution: Execution, crops: Tensor | None = None) -> Network:
    """Return the network that a checkpoint's cells share, ready for the engine of `execution`.

    `crops` are some of the run's, of the trained size, on which the network must answer the same.
    """
    if not isinstance(network, PoseModel):
        return network
    if execution.engine == "eager":
        # The published network stays where it is, for other engines and data.
        moves = execution.device != "cpu"
        return copy.deepcopy(network).to(execution.device) if moves else network
    return optimised(network, execution, crops)


def execute(
    cell: CellNetwork, execution: Execution, parallelism: Parallelism, calibration: Calibration
) -> CellNetwork:
    """Return a cell's network, made from an optimised one, as the engine of `execution` runs it.

    `calibration` gives normalised crops (N, 3, H, W) of its input size; only int8 uses it. Raises
    `UnsupportedExecutionError` if the engine cannot run the network, or not in this precision.
    """
    network, size = cell.network, cell.input_size
    engine = execution.engine or own_engine(network)
    if engine == "openvino":
        lanes = parallelism.lanes
        return replace(cell, network=openvino_network(network, size, execution, calibration, lanes))
    if engine == "onnxruntime":
        return replace(cell, network=onnxruntime_network(network, size, execution, calibration))
    assert isinstance(network, PoseModel)
    published = not is_optimised(network)
    layout = torch.contiguous_format if published else torch.channels_last
    dtype, device = DTYPES.get(execution.precision), torch.device(execution.device)
    ready: Network = TorchNetwork(network, device, layout, dtype)
    tf32 = execution.precision == "tf32"
    if engine == "compile":
        with LAUNCHING, allowing_tf32(tf32):
            ready = compile_network(
                ready, size, batch_size=parallelism.batch_size, device=execution.device
            )
    if device.type == "cuda":
        run = ready if engine == "eager" else GraphedRuns(ready)
        ready = CudaNetwork(ready, device, tf32, run)
    return replace(cell, network=ready, flips_apart=published and engine != "compile")
