"""`posebench eval` with clocks attached, in this process, so that the command itself is measured.

    python benchmarks/timed_eval.py [--keep FILE.npz] CHECKPOINT... [options of posebench eval]

Prints one line of JSON after `EVAL `. Its `loop` is the seconds that the prediction of all
instances took, from the first image read to the last keypoint decoded: not importing, loading,
converting a network, or scoring. `stages` are the seconds that threads spent reading images,
cropping, normalising, in the network and decoding, summed over threads; `cpu` is the part in which
these threads themselves had a core.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from measuring import peak_memory

import posebench.cli
import posebench.running.run_pass
from posebench.datasets.images.files import dataset_image
from posebench.networks.codecs import decode_by
from posebench.networks.policies import CellNetwork
from posebench.prediction.crops import cut_crops
from posebench.prediction.device_crops import normalise_tensor
from posebench.prediction.predict import predict

MARKER = "EVAL "
STAGES: dict[str, Callable[..., Any]] = {
    "read": dataset_image,
    "crop": cut_crops,
    "normalise": normalise_tensor,
    "decode": decode_by,
}


class Clocks:
    """Seconds and calls of the stages, while instances are predicted."""

    def __init__(self) -> None:
        self.loop = 0.0
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self.outcomes: list[Any] = []
        self._running = False
        self._lock = threading.Lock()

    def loop_clock(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `predict` with the clock of the loop, keeping what it answers."""

        def timed(*arguments: Any, **options: Any) -> Any:
            start, self._running = time.perf_counter(), True
            try:
                outcomes = function(*arguments, **options)
            finally:
                self._running = False
                self.loop += time.perf_counter() - start
            self.outcomes += [each for own in outcomes.values() for each in own.values()]
            return outcomes

        return timed

    def stage_clock(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` with the clock of a stage, which runs in the loop alone."""

        def timed(*arguments: Any, **options: Any) -> Any:
            start, cpu = time.perf_counter(), time.thread_time()
            result = function(*arguments, **options)
            if self._running:
                with self._lock:
                    self.seconds[name] += time.perf_counter() - start
                    self.cpu[name] += time.thread_time() - cpu
                    self.calls[name] += 1
            return result

        return timed


def attach(clocks: Clocks) -> None:
    """Put clocks around the loop and its stages, wherever posebench's modules name them."""
    replaced = {function: clocks.stage_clock(name, function) for name, function in STAGES.items()}
    replaced[predict] = clocks.loop_clock(predict)
    for module in [module for name, module in sys.modules.items() if name.startswith("posebench")]:
        for name, value in list(vars(module).items()):
            if isinstance(value, FunctionType) and value in replaced:
                setattr(module, name, replaced[value])
    timed = clocks.stage_clock("network", CellNetwork.__call__)
    CellNetwork.__call__ = timed  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="file for the predicted keypoints of all cells")
    options, arguments = parser.parse_known_args()
    clocks = Clocks()
    attach(clocks)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "results.json")
        printed = io.StringIO()
        arguments += ["--cache", "none", "--replicates", "0", "--json", str(file)]
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            posebench.cli.main(["eval", *arguments])
        if not file.is_file():
            sys.exit(printed.getvalue())
        document = json.loads(file.read_text(encoding="utf-8"))
    if options.keep:
        found = [outcome.predictions for outcome in clocks.outcomes]
        np.savez(
            options.keep,
            keypoints=np.stack([each.keypoints for each in found]),
            scores=np.stack([each.keypoint_scores for each in found]),
        )
    measured = {
        "loop": clocks.loop,
        "stages": dict(clocks.seconds),
        "cpu": dict(clocks.cpu),
        "calls": dict(clocks.calls),
        "peak": peak_memory(),
        "settings": document["settings"],
        "cells": [_cell(result) for result in document["results"]],
    }
    print(MARKER + json.dumps(measured))


def _cell(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": result["checkpoint"]["name"],
        "size": result["size"],
        "status": result["status"],
        "reason": result["reason"],
        "gmacs": result["gflops"],
        "instances": result["protocol"]["instances"],
        "flip_test": result["protocol"]["flip_test"],
        "reported": result["instances_per_second"],
        "AP": (result["metrics"] or {}).get("AP"),
    }


if __name__ == "__main__":
    main()
