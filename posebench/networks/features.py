"""What a network computes on the way to its answer, by name; the same interface for all families.

A family of backbones names the modules that end its stages, a family of heads the layers whose rows
it learned as answers (`AnswerLayers`). One forward pass under hooks reads them all; this is the
only place that uses hooks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from posebench.errors import UnsupportedExecutionError
from posebench.networks.backbones import stage_modules
from posebench.networks.heads import head_family
from posebench.networks.heads.family import AnswerLayers
from posebench.networks.spec import ModelSpec

if TYPE_CHECKING:
    from posebench.networks.model import PoseModel

STAGE, NECK, TOKENS = "stage", "neck", "tokens"


@dataclass(frozen=True, eq=False)
class Features:
    """What one forward pass computed.

    `maps` are (N, C, h, w), in the order in which they are computed: `stage1` and so on, one for
    each stage of the backbone; `neck1` and so on, if there is a neck; `tokens`, what the layer of
    keypoint vectors reads, if the head has such a layer. Branched backbones give their finest
    branch, and transformers their tokens as a map. `codes` (N, K, D) are what position vectors are
    multiplied with, for SimCC heads; `outputs` are the network's own.
    """

    maps: Mapping[str, Tensor]
    codes: Tensor | None
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class LearnedVectors:
    """The rows (R, D) of a layer, and what it adds to their products (R,), if anything.

    A convolution's rows count channels and then the cells of its kernel of `kernel` x `kernel`.
    """

    rows: Tensor
    bias: Tensor | None = None
    kernel: int = 1


@dataclass(frozen=True, eq=False)
class AnswerVectors:
    """The vectors that a network learned as answers.

    `keypoints`: what pixel tokens are multiplied with to make each keypoint's map; a keypoint has
    several rows if it has several maps. `positions`, by the name of an output: a row for each bin;
    heatmap heads have none. `keypoints` is None where only the others can be found.
    """

    keypoints: LearnedVectors | None
    positions: Mapping[str, LearnedVectors] = field(default_factory=dict)

    def of_keypoints(self, count: int) -> Tensor | None:
        """Return one vector for each of `count` keypoints, of all its rows."""
        return None if self.keypoints is None else self.keypoints.rows.reshape(count, -1)


def read_features(model: PoseModel, x: Tensor) -> Features:
    """Return the features of normalised crops (N, 3, H, W)."""
    kept: dict[str, Any] = {}
    stages = [model.backbone.get_submodule(name) for name in stage_modules(model.spec.backbone)]  # type: ignore[attr-defined]
    layers = find_answer_layers(model)
    with ExitStack() as stack:
        for number, module in enumerate(stages, 1):
            stack.enter_context(_keeping_output(module, kept, f"{STAGE}{number}"))
        if model.neck is not None:
            stack.enter_context(_keeping_output(model.neck, kept, NECK))
        if layers is not None:
            stack.enter_context(_keeping_input(layers.keypoints, kept, TOKENS))
            for name, layer in layers.positions.items():
                stack.enter_context(_keeping_input(layer, kept, name))
        outputs = model(x)
    maps = {
        f"{STAGE}{number}": _as_map(kept[f"{STAGE}{number}"], x, model.stride)
        for number in range(1, len(stages) + 1)
    }
    maps |= {f"{NECK}{number}": each for number, each in enumerate(kept.get(NECK, ()), 1)}
    if layers is None:
        return Features(maps, None, outputs)
    # Both axes read the same codes.
    codes = next((kept[name] for name in layers.positions), None)
    return Features({**maps, TOKENS: kept[TOKENS]}, codes, outputs)


def read_answer_vectors(model: PoseModel) -> AnswerVectors:
    """Return the vectors that a network learned as answers.

    Raises `UnsupportedExecutionError` if its head has no such vectors.
    """
    layers = find_answer_layers(model)
    if layers is None:
        raise UnsupportedExecutionError(
            f"A {model.spec.head.kind} head has no layer whose rows are its answers."
        )
    convolution = layers.keypoints
    bias = None if convolution.bias is None else convolution.bias.detach()
    return AnswerVectors(
        heatmap_vectors(convolution.weight.detach(), bias, model.spec),
        {
            name: LearnedVectors(
                layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
            )
            for name, layer in layers.positions.items()
        },
    )


def heatmap_vectors(weight: Tensor, bias: Tensor | None, spec: ModelSpec) -> LearnedVectors:
    """Return the rows of a convolution's weights (R, C, k, k) that stand for keypoints.

    Of the channels of a keypoint of UDP-regress the first is its heatmap, the others are offsets.
    """
    channels = spec.codec.channels
    own = None if bias is None else bias[::channels]
    return LearnedVectors(weight[::channels].flatten(1), own, weight.shape[-1])


def find_answer_layers(model: PoseModel) -> AnswerLayers | None:
    """Return the layers whose rows are a head's answers, or None if its kind has no such layers."""
    find = head_family(model.spec.head.kind).answer_layers
    return None if find is None else find(model.head)


def _as_map(output: Any, x: Tensor, stride: int) -> Tensor:
    """Return a stage's output as a map: of branches the finest, of tokens (N, T, C) their grid."""
    maps: Tensor = output[0] if isinstance(output, list | tuple) else output
    if maps.ndim == 4:
        return maps
    grid = x.shape[2] // stride, x.shape[3] // stride
    return maps.transpose(1, 2).reshape(len(maps), -1, *grid)


@contextmanager
def _keeping_output(module: nn.Module, kept: dict[str, Any], name: str) -> Iterator[None]:
    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        kept[name] = output

    handle = module.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _keeping_input(module: nn.Module, kept: dict[str, Any], name: str) -> Iterator[None]:
    def keep(_module: nn.Module, inputs: Any) -> None:
        kept[name] = inputs[0]

    handle = module.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        handle.remove()
