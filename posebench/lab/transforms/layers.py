"""The layers of a network that have weights to transform, by part, and their weights as rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from posebench.errors import UnsupportedExecutionError
from posebench.networks.heads import head_family
from posebench.networks.model import PoseModel
from posebench.networks.resizing import PooledHead
from posebench.suites.transforms import Part

Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def weighted_layers(model: PoseModel, part: Part) -> list[Weighted]:
    """Return the convolutions and linear layers of a part, in the order of their names.

    Everything else that is learned stays as it is: biases, norms, position embeddings and the
    few factors of attention. Raises `UnsupportedExecutionError` if the part has no such layer.
    """
    head = own_head(model)
    body = [module for name, module in model.named_children() if name in ("backbone", "neck")]
    if part == "answers":
        places = _answer_layers(model, head)
    elif part == "head":
        places = [head]
    elif part == "backbone":
        places = body
    else:
        places = [*body, head]
    modules = (module for place in places for module in place.modules())
    found = [module for module in dict.fromkeys(modules) if isinstance(module, Weighted)]
    if not found:
        raise UnsupportedExecutionError(
            f"The part {part} of this network has no convolution or linear layer.",
            hint="Choose the whole network, as in w8.",
        )
    return found


def _answer_layers(model: PoseModel, head: nn.Module) -> list[nn.Module]:
    """Return the layers whose rows are compared with what the rest of a network makes."""
    find = head_family(model.spec.head.kind).answer_layers
    if find is None:
        return []
    found = find(head)
    # The vectors of positions where there are any: those of keypoints then only make their inputs.
    return [*found.positions.values()] or [found.keypoints]


def own_head(model: PoseModel) -> nn.Module:
    """Return the head as its family builds it, without what the policy `pool` puts around it."""
    head = model.head
    inner: nn.Module = head.get_submodule("head") if isinstance(head, PooledHead) else head
    return inner


def rows_of(layer: Weighted) -> Tensor:
    """Return a layer's weights as (outputs, values of an output)."""
    weight = layer.weight.detach()
    if isinstance(layer, nn.ConvTranspose2d):
        # (inputs, outputs of a group, height, width): a group's outputs see its inputs alone.
        grouped = weight.reshape(layer.groups, -1, *weight.shape[1:])
        return grouped.transpose(1, 2).reshape(layer.out_channels, -1)
    return weight.flatten(1)


def set_rows(layer: Weighted, rows: Tensor) -> None:
    """Set a layer's weights from (outputs, values of an output)."""
    shape = layer.weight.shape
    if isinstance(layer, nn.ConvTranspose2d):
        outputs, inputs = layer.out_channels // layer.groups, layer.in_channels // layer.groups
        grouped = rows.reshape(layer.groups, outputs, inputs, *shape[2:])
        rows = grouped.transpose(1, 2)
    with torch.no_grad():
        layer.weight.copy_(rows.reshape(shape))
