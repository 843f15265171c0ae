"""What the machine does while something is measured: memory, clocks, other processes. No torch.

Read from Linux's `/proc` and `/sys`; None elsewhere, except for the peak memory.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_CPUS = Path("/sys/devices/system/cpu")
# Columns of /proc/stat's first line: two that are no work, and how many are summed.
_IDLE, _IOWAIT, _WORK_COLUMNS = 3, 4, 8


@dataclass(frozen=True)
class CpuTimes:
    """Seconds since some moment: on the wall, all cores' work, this process's work."""

    wall: float
    all: float
    own: float


def peak_memory() -> int | None:
    """Return the most bytes that this process has had in memory so far, None on Windows."""
    try:
        status = (_PROC / "self" / "status").read_text(encoding="utf-8")
        # Not `ru_maxrss`, which on Linux a process inherits from the one that started it.
        found = re.search(r"^VmHWM:\s*(\d+) kB", status, flags=re.MULTILINE)
        if found is not None:
            return 1024 * int(found[1])
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def clock_mhz() -> tuple[float, float] | None:
    """Return the lowest and highest clock of all cores now."""
    rates = [
        int(text) / 1000
        for path in _CPUS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
        if (text := _text(path).strip()).isdigit()
    ]
    if not rates:
        info = _text(_PROC / "cpuinfo")
        rates = [float(r) for r in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", info, flags=re.MULTILINE)]
    return (min(rates), max(rates)) if rates else None


def load_average() -> float | None:
    """Return how many processes wanted to run, on average over the last minute."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def cpu_times() -> CpuTimes | None:
    """Return the work done so far."""
    columns = _text(_PROC / "stat").partition("\n")[0].split()[1:]
    if len(columns) < _WORK_COLUMNS:
        return None
    ticks = [int(column) for column in columns[:_WORK_COLUMNS]]
    busy = sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT]
    own = os.times()
    return CpuTimes(time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), own.user + own.system)


def other_cores(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """Return how many cores other processes kept busy between two moments."""
    if before is None or after is None or after.wall <= before.wall:
        return None
    others = (after.all - before.all) - (after.own - before.own)
    return max(0.0, others / (after.wall - before.wall))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
