"""What the benchmarks here share: clocks, memory, the machine and the processes measured in."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parents[1] / "results" / "benchmarks"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
MATRIX = 2048
Measurement = dict[str, Any]


class FailedRunError(Exception):
    """A measured process ended with an error; the message is the end of its output."""


def clocks() -> np.ndarray:
    """Return wall-clock and processor seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def peak_memory() -> float:
    """Return this process's peak resident memory in MB.

    On Linux it is read from /proc, because ru_maxrss starts at the value of the parent process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return _kilobytes(status, "VmHWM:") / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_json(
    command: Sequence[str], *, marker: str = "", environment: Mapping[str, str | None] | None = None
) -> Measurement:
    """Run a process and return the JSON of its last line that starts with `marker`.

    Two facts are added: `whole`, its seconds from start to end, and `tree`, the peak memory in MB
    of it and its children together. A variable of `environment` that is None is removed. Raises
    `FailedRunError` if the process fails.
    """
    variables = {**os.environ, **(environment or {})}
    start = time.perf_counter()
    process = subprocess.Popen(
        list(command),
        env={name: value for name, value in variables.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watch = _MemoryWatch(process.pid)
    watch.start()
    output, errors = process.communicate()
    whole = time.perf_counter() - start
    tree = watch.stop()
    lines = [line[len(marker) :] for line in output.splitlines() if line.startswith(marker)]
    if process.returncode != 0 or not lines:
        raise FailedRunError((errors or output).strip()[-2000:])
    return {**json.loads(lines[-1]), "whole": whole, "tree": tree}


class _MemoryWatch(threading.Thread):
    """Asks once a second what a process and its children hold; shared pages count once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._ended, self._peak = pid, threading.Event(), 0.0

    def run(self) -> None:
        while not self._ended.wait(1.0):
            files = [Path(f"/proc/{pid}/smaps_rollup") for pid in self._tree()]
            held = sum(_kilobytes(file, "Pss:") for file in files)
            self._peak = max(self._peak, held / 1024)

    def stop(self) -> float | None:
        """Return the peak in MB, or None if the system does not tell."""
        self._ended.set()
        self.join()
        return self._peak or None

    def _tree(self) -> list[int]:
        found = [self._pid]
        for pid in found:
            for listing in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    found += [int(child) for child in listing.read_text().split()]
                except OSError:  # ended meanwhile
                    continue
        return found


def _kilobytes(path: Path, field: str) -> int:
    """Return a field of one of Linux's files on a process, 0 if the process has ended."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def matmul_gflops(seconds: float = 1.0) -> dict[str, float]:
    """Return the GFLOP/s of multiplying square matrices, by precision, with torch's threads."""
    import torch

    found = {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        one, other = (torch.randn(MATRIX, MATRIX).to(dtype) for _ in range(2))
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            one @ other
            times.append(time.perf_counter() - start)
        found[precision] = 2 * MATRIX**3 / statistics.median(times[1:]) / 1e9
    return found


def machine_line(packages: Iterable[str]) -> str:
    """Return the machine, versions, date and load, as a sentence."""
    from posebench.files.environment import environment

    facts = environment()
    machine = facts["machine"]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{machine['processor']}, {machine['cores']} cores, Python {platform.python_version()}, "
        f"{versions}, posebench {facts['posebench']}, {facts['date']}, load average at the end "
        f"{os.getloadavg()[0]:.1f}."
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    from posebench.reporting.text_tables import markdown_table

    return markdown_table(head, list(rows))


def median_and_range(values: Sequence[float], form: str = ".1f") -> str:
    """Return the median of measurements, and their range if there are several."""
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    return f"{middle} ({format(min(values), form)}–{format(max(values), form)})"


def write_page(lines: Sequence[str], out: str) -> None:
    """Print a page, and write it to the file `out`, unless that is `-`."""
    print(page_text(lines))
    if out != "-":
        Path(out).write_text(page_text(lines), encoding="utf-8")


def page_text(lines: Sequence[str]) -> str:
    """Return a page's text, without empty lines that follow one another."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join([*lines, ""]))


def add_page_options(parser: argparse.ArgumentParser, page: Path) -> None:
    """Add `--out`, the option of every benchmark that writes a page."""
    parser.add_argument("--out", default=str(page), help="file to write, - for none")
