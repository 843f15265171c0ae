"""Engines: what runs a network, and in which precision, behind one interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray

from posebench.checkpoints.exported import ExportedNetwork
from posebench.devices import check_device
from posebench.engines.torch_engine import DTYPES, TorchNetwork, is_optimised, optimised
from posebench.errors import UnsupportedExecutionError
from posebench.execution import Engine, Execution, Precision
from posebench.model import Network, PoseModel
from posebench.policies import CellNetwork

# What runs exported files of a format.
_RUNTIMES: dict[str, Engine] = {"onnx": "onnxruntime", "openvino": "openvino"}
# Which precisions an engine has; whether this machine and network do is known by trying.
PRECISIONS_OF: dict[Engine, tuple[Precision, ...]] = {
    "torch": ("fp32", "bf16", "fp16"),
    "eager": ("fp32",),
    "compile": ("fp32", "bf16", "fp16"),
}
Calibration = Callable[[], NDArray[Any]]


def check_execution(network: Network, execution: Execution) -> None:
    """Raise `UnsupportedExecutionError` for what is known not to run before it is tried."""
    check_device(execution.device)
    own = own_engine(network)
    engine = execution.engine or own
    if not isinstance(network, PoseModel) and engine != own:
        raise UnsupportedExecutionError(
            f"This file was exported for {own}: its weights are out of reach of {engine}.",
            hint=f"Leave out --engine, or say --engine {own}.",
        )
    valid = PRECISIONS_OF[engine] if isinstance(network, PoseModel) else ("fp32",)
    if execution.precision not in valid:
        raise UnsupportedExecutionError(
            f"The engine {engine} does not run this network in {execution.precision}.",
            hint=f"It runs it in {', '.join(valid)}.",
        )


def own_engine(network: Network) -> Engine:
    """Return what runs a network by default."""
    if isinstance(network, ExportedNetwork):
        return _RUNTIMES[network.spec.backbone.family]
    return "torch"


def optimise(network: Network, execution: Execution) -> Network:
    """Return what all cells of a checkpoint share, made ready for the engine of `execution`."""
    if execution.engine == "eager" or not isinstance(network, PoseModel):
        return network
    return optimised(network, execution)


def execute(cell: CellNetwork, execution: Execution) -> CellNetwork:
    """Return a cell's network, of an optimised one, as the engine of `execution` runs it."""
    if not isinstance(cell.network, PoseModel):
        return cell
    published = not is_optimised(cell.network)
    layout = torch.contiguous_format if published else torch.channels_last
    dtype, device = DTYPES.get(execution.precision), torch.device(execution.device)
    network = TorchNetwork(cell.network, device, layout, dtype)
    return replace(cell, network=network, flips_apart=published)
