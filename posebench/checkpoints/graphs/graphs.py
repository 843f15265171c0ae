"""What exported networks of any format have in common: bytes, and a session that runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from posebench.checkpoints.findings import Finding
from posebench.errors import CheckpointError, UsageError
from posebench.networks.sizes import InputSize

GraphFormat = Literal["onnx", "openvino"]
# The names of the parts of each format's files, and of their copies in a posebench file.
PARTS: dict[GraphFormat, tuple[str, ...]] = {
    "onnx": ("onnx.model",),
    "openvino": ("openvino.xml", "openvino.bin"),
}
MAX_BATCH = 1024
# Operations that, directly behind the input, do what a crop's normalisation does.
_NORMALISING = frozenset({"Sub", "Div", "Mul", "Add", "Subtract", "Divide", "Multiply"})


@dataclass(frozen=True)
class GraphFile:
    """The bytes of an exported network and what lies beside them.

    `parts` has the names of `PARTS`; `name` is for errors. `findings` rank above what the graph
    says by its shapes and below `--spec`.
    """

    name: str
    format: GraphFormat
    parts: Mapping[str, bytes]
    findings: tuple[Finding, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphInput:
    """The crops a graph takes; None stands for a free axis."""

    name: str
    dtype: type[np.generic]
    batch: int | None
    fixed_size: InputSize | None


@dataclass(frozen=True)
class GraphFacts:
    """What a session knows of its network.

    `parameters` counts learned values; `first_operations` take the input itself; `findings` and
    `provenance` are what the file says in words.
    """

    input: GraphInput
    outputs: tuple[str, ...]
    parameters: int
    first_operations: frozenset[str]
    findings: tuple[Finding, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def normalises(self) -> bool:
        """Tell whether the graph shifts or scales its input itself."""
        return bool(self.first_operations & _NORMALISING)


class Session(Protocol):
    """An open network."""

    @property
    def facts(self) -> GraphFacts:
        """What the network takes and gives."""
        ...

    def run(self, crops: NDArray[Any], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run one batch (N, 3, H, W), of the fixed size if there is one.

        Raise `CheckpointError` where the runtime cannot.
        """
        ...


def graph_input(
    name: str, sides: Sequence[int | None], dtype: type[np.generic] | None, *, where: str
) -> GraphInput:
    """Check that an input of these sides (None: free) is one batch of crops.

    Raise `CheckpointError` for images with channels last, bytes and anything else.
    """
    shape = "x".join("?" if side is None else str(side) for side in sides)
    if len(sides) == 4 and sides[1] not in (3, None) and sides[3] == 3:
        raise CheckpointError(
            f"{where} takes images with channels last ({name} {shape}): its preprocessing is part"
            " of the graph.",
            hint="Export the network itself, which takes normalised crops (N, 3, H, W).",
        )
    if len(sides) != 4 or sides[1] not in (3, None):
        raise CheckpointError(
            f"{where} does not take one batch of crops (N, 3, H, W), but {name} {shape}."
        )
    if dtype is None:
        raise CheckpointError(
            f"{where} does not take floating-point crops: its preprocessing is part of the graph.",
            hint="Export the network itself, which takes normalised crops (N, 3, H, W).",
        )
    batch, _, height, width = sides
    if (height is None) != (width is None):
        raise CheckpointError(f"{where} fixes one side of its input, {shape}, but not the other.")
    if batch is not None and not 0 < batch <= MAX_BATCH:
        raise CheckpointError(f"{where} takes batches of {batch}; posebench runs 1 to {MAX_BATCH}.")
    try:
        fixed = None if height is None or width is None else InputSize(height, width)
    except UsageError as error:
        raise CheckpointError(f"{where}: {error.message}", hint=error.hint) from None
    return GraphInput(name, dtype, batch, fixed)
