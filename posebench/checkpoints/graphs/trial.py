"""Run an exported file for the first time, in a separate process that may hang or fill up.

A graph can loop for ever or ask for any amount of memory. A file that passes here is then opened in
the process that needs it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from posebench.checkpoints.graphs.graphs import GraphFile
from posebench.checkpoints.graphs.pixels import Pixels, pixels_from_mapping
from posebench.errors import CheckpointError
from posebench.networks.sizes import InputSize

# Memory that a graph may take on top of an allowance for its size.
LIMIT_SECONDS = 60.0
LIMIT_BYTES = 8 * 2**30
_BYTES_PER_SECOND = 5e6
_MEMORY_OF_SIZE = 8
_START = "from posebench.checkpoints.graphs.trial_process import main; main()"


@dataclass(frozen=True)
class Trial:
    """A graph's answer to a blank crop of `size`, and what it does to pixels first.

    `shapes` are those of its outputs in order; `broken` are outputs with NaN or infinite values.
    """

    size: InputSize
    shapes: Mapping[str, tuple[int, ...]]
    broken: tuple[str, ...]
    pixels: Pixels


def try_out(file: GraphFile, told_size: InputSize) -> Trial:
    """Run a graph on crops of the size that it fixes, or of `told_size`.

    Raises `CheckpointError` if it cannot be opened or run, or takes too long or too much memory.
    """
    total = sum(map(len, file.parts.values()))
    seconds = LIMIT_SECONDS + total / _BYTES_PER_SECOND
    header = {
        "name": file.name,
        "format": file.format,
        "parts": {name: len(data) for name, data in file.parts.items()},
        "size": str(told_size),
        "memory": LIMIT_BYTES + _MEMORY_OF_SIZE * total,
    }
    sent = json.dumps(header).encode() + b"\n" + b"".join(file.parts.values())
    # Modules come from the same places as in this process, never from the working directory.
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {_START}"]
    try:
        done = subprocess.run(
            command,
            input=sent,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CheckpointError(
            f"{file.name} does not answer one blank crop within {seconds:.0f} seconds.",
            hint="A network of this size takes a second or two: its graph may loop. Get the file"
            " from its publisher again.",
        ) from None
    record = _last_record(done.stdout)
    if "problem" in record:
        raise CheckpointError(record["problem"], hint=record.get("hint"))
    if "shapes" not in record:
        raise CheckpointError(
            f"Running {file.name} on a blank crop ended its process (exit code"
            f" {done.returncode}) without an answer.",
            hint="Codes -9 and -6 usually mean that memory ran out. The file is damaged or asks for"
            " more than a network needs.",
        )
    return Trial(
        size=InputSize.parse(record["size"]),
        shapes={name: tuple(shape) for name, shape in record["shapes"].items()},
        broken=tuple(record["broken"]),
        pixels=pixels_from_mapping(record["pixels"]),
    )


def _last_record(stdout: bytes) -> dict[str, Any]:
    """Return the record on the last line; empty if the process ended before it wrote one."""
    try:
        record = json.loads(stdout.splitlines()[-1])
    except (IndexError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
