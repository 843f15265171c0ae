"""Apply a transform to a network, and say which networks and ways to run it does not fit.

Weights are changed in the published network, before BatchNorm is folded and before a resize policy,
so that every engine runs the same ones. For quantised weights the order is no matter: folding
multiplies an output channel, whose scale is its own, by one number, and so keeps its levels. For
pruning it is: published weights are ranked, as papers on pruning do. Activations are rounded in the
network of a cell, calibrated at its size.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from posebench.errors import UnsupportedExecutionError
from posebench.lab.transforms.channels import prune_channels
from posebench.lab.transforms.layers import weighted_layers
from posebench.lab.transforms.pruning import prune_weights
from posebench.lab.transforms.quantising import quantise_inputs, quantise_weights
from posebench.networks.heads import size_locked_layers
from posebench.networks.model import Network, PoseModel
from posebench.networks.policies import CellNetwork, Policy
from posebench.prediction.execution import Execution
from posebench.suites.transforms import Transform

_BATCH = 8


def check_transform(
    network: Network, transform: Transform, execution: Execution, policy: Policy
) -> None:
    """Check that a transform can be applied to a network that runs in this way.

    Raises `UnsupportedExecutionError` if its numbers would not be those of the transform.
    """
    if transform.is_none:
        return
    if not isinstance(network, PoseModel):
        raise UnsupportedExecutionError(
            f"This file was exported: its weights are out of reach of {transform}.",
            hint="Transform the checkpoint it was made from.",
        )
    if transform.quantises and execution.precision != "fp32":
        raise UnsupportedExecutionError(
            f"{transform} is computed in fp32; {execution.precision} would round its values again.",
            hint="Choose the precision fp32, or no transform.",
        )
    if transform.activation_bits and execution.engine in ("onnxruntime", "openvino"):
        raise UnsupportedExecutionError(
            f"The engine {execution.engine} does not round activations as {transform} asks.",
            hint="Choose the engine torch, eager or compile, or the engine's own int8.",
        )
    locked = size_locked_layers(network.spec.head)
    moves_locked = bool(locked) and transform.moves_weights and transform.part != "backbone"
    if policy == "interpolate" and moves_locked:
        raise UnsupportedExecutionError(
            f"Under interpolate, size-locked weights would lose what {transform} made of them.",
            hint="Use the policy resample or pool, or transform the backbone alone.",
        )
    if transform.part != "tokens":
        weighted_layers(network, transform.part)


def with_transformed_weights(network: Network, transform: Transform) -> Network:
    """Return a network with quantised or pruned weights, itself if the transform has none.

    Raises `UnsupportedExecutionError` if no channel of it can be pruned.
    """
    if not transform.moves_weights:
        return network
    assert isinstance(network, PoseModel), "check_transform refuses others"
    result = copy.deepcopy(network).eval()
    layers = weighted_layers(result, transform.part)
    if transform.weight_bits is not None:
        for layer in layers:
            quantise_weights(layer, transform.weight_bits)
    elif transform.pruned is not None and transform.ranking == "channel":
        prune_channels(result, layers, transform.pruned)
    elif transform.pruned is not None:
        groups = [layers] if transform.ranking == "global" else [[layer] for layer in layers]
        for group in groups:
            prune_weights(group, transform.pruned)
    return result


def with_quantised_activations(
    cell: CellNetwork, transform: Transform, crops: Tensor
) -> CellNetwork:
    """Return a cell's network whose activations are rounded, itself if the transform has none.

    `crops` (N, 3, H, W) of its input size calibrate the ranges.
    """
    if transform.activation_bits is None:
        return cell
    assert isinstance(cell.network, PoseModel), "check_transform refuses others"
    model = copy.deepcopy(cell.network)  # other cells share its modules
    layers: list[nn.Module] = [model.head]
    if transform.part != "tokens":
        layers = [*weighted_layers(model, transform.part)]
    device = next(model.parameters()).device

    def calibrate() -> None:
        with torch.inference_mode():
            for batch in torch.split(crops, _BATCH):
                model(batch.to(device))

    quantise_inputs(layers, transform.activation_bits, calibrate)
    return replace(cell, network=model)
