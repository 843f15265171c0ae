"""The common interface of exported networks: bytes, and a session that runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from posebench.checkpoints.findings import Finding
from posebench.errors import CheckpointError, UsageError
from posebench.networks.sizes import InputSize

GraphFormat = Literal["onnx", "openvino"]
# The names of the parts of each format's files, also used for their copies in a posebench file.
PARTS: dict[GraphFormat, tuple[str, ...]] = {
    "onnx": ("onnx.model",),
    "openvino": ("openvino.xml", "openvino.bin"),
}
MAX_BATCH = 1024
Front = Callable[[NDArray[Any]], list[NDArray[Any]]]
"""Maps crops, as a graph takes them, to the inputs of its first layers."""


@dataclass(frozen=True)
class GraphFile:
    """The bytes of an exported network and the facts that lie beside them.

    `parts` has the names of `PARTS`; `name` is for errors. `findings` overrule those from the
    graph's shapes; `--spec` overrules both.
    """

    name: str
    format: GraphFormat
    parts: Mapping[str, bytes]
    findings: tuple[Finding, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphInput:
    """The crops that a graph takes; None stands for a free axis."""

    name: str
    dtype: type[np.generic]
    batch: int | None
    fixed_size: InputSize | None
    channels_last: bool = False

    def crops(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return crops (N, 3, H, W) in the type and the order of axes that the graph takes."""
        if self.dtype is np.uint8:
            values = np.rint(values).clip(0, 255)
        ordered = values.transpose(0, 2, 3, 1) if self.channels_last else values
        return np.ascontiguousarray(ordered, dtype=self.dtype)


@dataclass(frozen=True)
class GraphFacts:
    """The facts that a session knows about its network.

    `parameters` counts learned values; `findings` and `provenance` come from the file's metadata.
    """

    input: GraphInput
    outputs: tuple[str, ...]
    parameters: int
    findings: tuple[Finding, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


class Session(Protocol):
    """An open network."""

    @property
    def facts(self) -> GraphFacts:
        """The inputs and outputs of the network."""
        ...

    def run(self, crops: NDArray[Any], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run one batch of crops made by `GraphInput.crops`, of the fixed size if there is one.

        Raises `CheckpointError` if the runtime cannot run it.
        """
        ...


def graph_input(
    name: str, sides: Sequence[int | None], dtype: type[np.generic] | None, *, where: str
) -> GraphInput:
    """Check that an input of these sides (None: free) is one batch of crops.

    Channels come before height and width, or last. Raises `CheckpointError` if the input is
    anything else.
    """
    shape = "x".join("?" if side is None else str(side) for side in sides)
    last = len(sides) == 4 and sides[1] != 3 and sides[3] == 3
    if len(sides) != 4 or not (last or sides[1] in (3, None)):
        raise CheckpointError(
            f"{where} does not take one batch of crops (N, 3, H, W), but {name} {shape}."
        )
    if dtype is None:
        raise CheckpointError(
            f"{where} takes crops of a type that is not supported.",
            hint="Export the network with an input of float32, float16 or uint8.",
        )
    batch, height, width = (sides[0], *(sides[1:3] if last else sides[2:4]))
    if (height is None) != (width is None):
        raise CheckpointError(f"{where} fixes one side of its input, {shape}, but not the other.")
    if batch is not None and not 0 < batch <= MAX_BATCH:
        raise CheckpointError(f"{where} takes batches of {batch}; posebench runs 1 to {MAX_BATCH}.")
    try:
        fixed = None if height is None or width is None else InputSize(height, width)
    except UsageError as error:
        raise CheckpointError(f"{where}: {error.message}", hint=error.hint) from None
    return GraphInput(name, dtype, batch, fixed, last)
