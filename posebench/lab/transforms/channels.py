"""Channels that can be taken out of a network, and pruning of them.

A convolution's channels can be taken out where nothing but other convolutions reads them, by way of
a BatchNorm, an activation or a pooling: the inner layers of residual blocks, chains of transposed
convolutions. What is added to a shortcut, joined, split or attended to stays. The network's graph,
as torch exports it, shows which is which, whatever the architecture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import fx, nn

from posebench.errors import UnsupportedExecutionError
from posebench.lab.transforms.layers import Weighted, rows_of, set_rows
from posebench.lab.transforms.pruning import limit_of
from posebench.networks.model import PoseModel
from posebench.prediction.engines.folding import Convolution

_CONVOLUTIONS = frozenset({"conv2d", "conv_transpose2d"})
# The second is what torch 2.4 writes.
_NORMS = frozenset({"batch_norm", "_native_batch_norm_legit_no_training"})
# All of them answer 0 to a channel of zeros. The last picks a norm's first output.
_PASSING = frozenset(
    {"relu", "relu_", "hardtanh", "hardtanh_", "silu", "silu_", "gelu", "hardswish", "hardswish_"}
) | {"max_pool2d", "getitem"}


@dataclass(frozen=True)
class Removable:
    """A convolution whose channels can be taken out, and the BatchNorm behind it, if any."""

    layer: Convolution
    norm: nn.BatchNorm2d | None


def prune_channels(model: PoseModel, layers: Sequence[Weighted], percent: int) -> None:
    """Take that percentage of channels out of each of `layers` that allows it, in place.

    A layer's channels are ranked by the sum of their weights' magnitudes (Li et al.,
    arXiv:1608.08710). Taken out means that weights, bias and BatchNorm of the channel become 0, so
    that it answers 0. Raises `UnsupportedExecutionError` if no layer allows it.
    """
    found = [each for each in removable(model) if each.layer in layers]
    if not found:
        raise UnsupportedExecutionError(
            "No layer of this part has channels that can be taken out: each is added to a "
            "shortcut, attended to, or read by more than convolutions.",
            hint="Prune weights, such as prune-50 or prune-50-layer.",
        )
    for each in found:
        layer, norm, rows = each.layer, each.norm, rows_of(each.layer)
        sizes = rows.abs().sum(dim=1)
        out = sizes <= limit_of(sizes, percent)
        set_rows(layer, rows.masked_fill(out[:, None], 0))
        learned = [layer.bias, *([] if norm is None else [norm.weight, norm.bias])]
        with torch.no_grad():
            for parameter in learned:
                if parameter is not None:
                    parameter[out] = 0


def removable(model: PoseModel) -> list[Removable]:
    """Return the convolutions whose channels can be taken out.

    Raises `UnsupportedExecutionError` if torch cannot export the network, which must be in `eval`.
    """
    size = model.spec.input_size
    try:
        program = torch.export.export(model, (torch.zeros(2, 3, size.height, size.width),))
    except Exception as error:  # what cannot be exported raises errors of many kinds
        raise UnsupportedExecutionError(
            f"Which channels can be taken out is not known: {str(error).partition(chr(10))[0]}"
        ) from error
    names = program.graph_signature.inputs_to_parameters
    owners = {
        place: model.get_submodule(name.rpartition(".")[0])
        for place, name in names.items()
        if name.endswith(".weight")
    }
    runs = [(node, _owner(node, owners)) for node in program.graph.nodes]
    modules = [module for _, module in runs]
    return [
        found
        for node, module in runs
        if _is_plain(module) and modules.count(module) == 1
        if (found := _removable(node, module, owners)) is not None
    ]


def _removable(node: fx.Node, layer: Convolution, owners: dict[str, nn.Module]) -> Removable | None:
    """Return a convolution if only plain convolutions read its channels, else None."""
    norm: nn.BatchNorm2d | None = None
    waiting, read = [*node.users], False
    while waiting:
        user = waiting.pop()
        kind, owner = _kind(user), _owner(user, owners)
        if kind in _CONVOLUTIONS and _is_plain(owner):
            read = True
        elif kind in _PASSING or (kind in _NORMS and norm is None):
            waiting += user.users
            if kind in _NORMS:
                if not isinstance(owner, nn.BatchNorm2d):
                    return None  # it learns nothing, so its shift cannot become 0
                norm = owner
        else:
            return None
    return Removable(layer, norm) if read else None


def _kind(node: fx.Node) -> str:
    """Return the name of the function that a node calls, such as `conv2d`."""
    return str(getattr(node.target, "__name__", node.target)).partition(".")[0]


def _owner(node: fx.Node, owners: dict[str, nn.Module]) -> nn.Module | None:
    """Return the module whose weight a convolution or BatchNorm reads, None for other nodes."""
    if _kind(node) not in _CONVOLUTIONS | _NORMS:
        return None
    found = (owners.get(each.name) for each in node.all_input_nodes)
    return next((module for module in found if module is not None), None)


def _is_plain(module: nn.Module | None) -> TypeGuard[Convolution]:
    """Tell whether a module is a convolution each of whose outputs reads all of its inputs."""
    return isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.groups == 1
