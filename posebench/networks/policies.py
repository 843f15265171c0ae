"""Resize policies: how a checkpoint runs at sizes it was not trained at, and which it cannot run.

The names of policies need no torch; functions that need a head load it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from posebench.errors import UnsupportedSizeError
from posebench.networks.grids import Binned, bins_at
from posebench.networks.sizes import MAX_SIDE, InputSize
from posebench.networks.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor

    from posebench.networks.model import Network

Policy = Literal["native", "resample", "pool", "interpolate"]
POLICIES: tuple[Policy, ...] = ("native", "resample", "pool", "interpolate")


@dataclass(frozen=True)
class CellNetwork:
    """A network as one cell runs it.

    Crops of `input_size` go in; outputs stand for pixels of `output_size`. If either differs from
    the cell's own size, the caller rescales the crop and the decoded keypoints. With `flips_apart`,
    the mirrored crops of a flip test form a separate batch.
    """

    network: Network
    input_size: InputSize
    output_size: InputSize
    flips_apart: bool = False

    @property
    def spec(self) -> ModelSpec:
        """The spec of the network, at its trained size."""
        return self.network.spec

    @property
    def stride(self) -> int:
        """Pixels per cell of the backbone's features."""
        return self.network.stride

    @property
    def fixed_size(self) -> InputSize | None:
        """The only input size that the network takes, or None."""
        return self.network.fixed_size

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W) of `input_size` to outputs."""
        return self.network(x)


def canonical_policy(spec: ModelSpec, size: InputSize, policy: Policy) -> Policy:
    """Return `native` if `policy` would change nothing, else `policy`.

    Nothing changes at the trained size; a heatmap network has no layer to pool or interpolate.
    """
    from posebench.networks.heads import size_locked_layers

    if size == spec.input_size:
        return "native"
    if policy in ("pool", "interpolate") and not size_locked_layers(spec.head):
        return "native"
    return policy


def check_size(
    spec: ModelSpec,
    stride: int,
    size: InputSize,
    policy: Policy,
    *,
    divisor: int | None = None,
    size_locked: bool = False,
) -> None:
    """Raise `UnsupportedSizeError`, with the reason, if a cell cannot run.

    `divisor` is the number that both sides must be multiples of, if that exceeds the stride. With
    `size_locked`, the file takes only its trained size and its weights cannot be changed, as in an
    ONNX file exported for one size.
    """
    from posebench.networks.heads import size_locked_layers

    policy = canonical_policy(spec, size, policy)
    if size == spec.input_size or policy == "resample":
        return
    if size_locked:
        raise UnsupportedSizeError(
            f"{size} under {policy}: the file was exported for {spec.input_size} alone.",
            hint="Use the policy resample.",
        )
    if policy == "native" and size_locked_layers(spec.head):
        raise UnsupportedSizeError(
            f"{size} under native: {_locks(spec, stride)}.",
            hint="Use the policy resample, pool or interpolate.",
        )
    step = divisor or stride
    if size.height % step or size.width % step:
        valid = " and ".join(str(near) for near in _nearest_multiples(size, step))
        what = (
            f"the stride {step}"
            if divisor is None
            else f"{step}: this network cannot round sides up"
        )
        raise UnsupportedSizeError(
            f"{size} under {policy}: both sides must be multiples of {what}.",
            hint=f"Nearest valid: {valid}. The policy resample runs at any size.",
        )


def network_size(spec: ModelSpec, size: InputSize, policy: Policy) -> InputSize:
    """Return the size of the crops that the network takes in a cell of `size`."""
    return spec.input_size if policy == "resample" else size


def output_size(spec: ModelSpec, size: InputSize, policy: Policy) -> InputSize:
    """Return the size whose pixels the decoded outputs of a cell of `size` are in."""
    policy = canonical_policy(spec, size, policy)
    return spec.input_size if policy in ("resample", "pool") else size


def apply_policy(network: Network, size: InputSize, policy: Policy) -> CellNetwork:
    """Return the network of a cell; the original is unchanged and shares its other weights.

    Raises `UnsupportedSizeError` if `check_size` does, or if `pool` or `interpolate` is asked of a
    network that is not a `PoseModel`.
    """
    from posebench.networks.backbones import size_divisor
    from posebench.networks.model import PoseModel
    from posebench.networks.resizing import fix_size, interpolate_model, pool_model

    spec = network.spec
    divisor, locked = size_divisor(spec.backbone), network.fixed_size is not None
    check_size(spec, network.stride, size, policy, divisor=divisor, size_locked=locked)
    canonical = canonical_policy(spec, size, policy)
    taken, answered = (sized(spec, size, canonical) for sized in (network_size, output_size))
    if not isinstance(network, PoseModel):
        if canonical in ("pool", "interpolate"):
            raise UnsupportedSizeError(
                f"{size} under {policy}: the weights of this file cannot be changed.",
                hint="Use the policy resample.",
            )
    elif canonical == "pool":
        network = pool_model(network, size)
    elif canonical == "interpolate":
        network = interpolate_model(network, size)
    else:
        network = fix_size(network, taken)
    return CellNetwork(network, taken, answered)


def _locks(spec: ModelSpec, stride: int) -> str:
    """Say which layers lock the size, and to what."""
    from posebench.networks.heads import map_grid, size_locked_layers

    locked = size_locked_layers(spec.head)
    fixed = []
    if any(layer.cells for layer in locked):
        fixed.append(f"input grid {map_grid(spec.head, stride, spec.input_size)}")
    if any(layer.bins for layer in locked) and isinstance(spec.codec, Binned):
        bins = bins_at(spec.codec, spec.input_size)
        fixed.append(f"{bins.x}+{bins.y} bins")
    return (
        f"{' and '.join(fixed)} are fixed by training at {spec.input_size}"
        f" (linear layers {', '.join(layer.name for layer in locked)})"
    )


def _nearest_multiples(size: InputSize, step: int) -> tuple[InputSize, ...]:
    """Return the nearest valid sizes below and above, if they exist."""
    below = (size.height // step * step, size.width // step * step)
    above = (-(-size.height // step) * step, -(-size.width // step) * step)
    return tuple(
        InputSize(*sides) for sides in (below, above) if 0 < min(sides) <= max(sides) <= MAX_SIDE
    )
