"""Threads, lanes and workers of a run, shared out for its device."""

from __future__ import annotations

import ctypes
import os
from dataclasses import replace

import cv2
import torch

from posebench.errors import UsageError
from posebench.prediction.devices import check_device
from posebench.prediction.execution import Parallelism, Resources
from posebench.results.cell import RunSettings

# More batches at a time take more memory, and no less time per instance.
_MOST_LANES = 8
_CPU_BATCH = 8
# Two lanes keep another device busy: one waits for answers while the other's batch runs.
_DEVICE_LANES = 2
_DEVICE_BATCH = 64
_MOST_WORKERS = 16


def share_out(resources: Resources, device: str) -> tuple[Parallelism, RunSettings]:
    """Return how a run is spread over a device and this machine's cores.

    On a CPU each lane runs its batches on one thread, as long as there are no more than 8, and cuts
    its own crops; for another device workers cut them. Raises `UnsupportedExecutionError` if this
    machine does not have the device.
    """
    check_device(device)
    threads = resources.threads or torch.get_num_threads()
    on_cpu = device == "cpu"
    spare = min(os.cpu_count() or 1, _MOST_WORKERS)
    parallelism = Parallelism(
        batch_size=batch_size_on(resources, device),
        lanes=min(threads, _MOST_LANES) if on_cpu else _DEVICE_LANES,
        workers=resources.workers if resources.workers is not None else 0 if on_cpu else spare,
    )
    batch_size = None if is_probed(resources, device) else parallelism.batch_size
    settings = RunSettings(threads, batch_size, parallelism.lanes, parallelism.workers, device)
    return parallelism, settings


def is_probed(resources: Resources, device: str) -> bool:
    """Tell whether the networks that run together decide how many crops a batch has."""
    return resources.batch_size is None and device != "cpu"


def batch_size_on(resources: Resources, device: str) -> int:
    """Return how many crops a batch has on a device, which this machine need not have.

    On a GPU that is where nothing is tried beforehand, such as for a segment.
    """
    return resources.batch_size or (_CPU_BATCH if device == "cpu" else _DEVICE_BATCH)


def set_up_process(settings: RunSettings) -> None:
    """Set how many threads torch and OpenCV use here, and let this process keep freed memory."""
    keep_freed_memory()
    if settings.device.startswith("cuda:"):
        torch.cuda.set_device(settings.device)
    if settings.torch_threads != torch.get_num_threads():
        torch.set_num_threads(settings.torch_threads)
    # Crops are cut side by side already.
    cv2.setNumThreads(1)


def device_names(text: str) -> tuple[str, ...]:
    """Return the devices of a list such as `cuda:0,cuda:1`.

    Raises `UsageError` if they are of different kinds.
    """
    names = tuple(name.strip() for name in text.split(","))
    kinds = dict.fromkeys(name.partition(":")[0] for name in names)
    if len(kinds) > 1:
        raise UsageError(
            f"--device {text} mixes {' and '.join(kinds)}: their results would differ.",
            hint="Name devices of one kind, such as cuda:0,cuda:1.",
        )
    return names


def share_of_each(resources: Resources, device: str, processes: int) -> Resources:
    """Return what one of several processes gets, each on a device of this kind."""
    threads, workers = resources.threads or torch.get_num_threads(), resources.workers
    if workers is None and device != "cpu":
        workers = min(os.cpu_count() or 1, _MOST_WORKERS * processes)
    return replace(
        resources,
        threads=max(threads // processes, 1),
        workers=None if workers is None else -(-workers // processes),
    )


# Parameters of glibc's malloc.h: when freed memory goes back, what is mapped by itself, how many
# pools.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_NEVER = 2**31 - 1
# The most that glibc takes.
_LARGEST = 2**25


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, if its C library is glibc; return whether it is.

    By default each large tensor is a mapping of its own, whose pages the kernel clears anew for
    every layer: a fifth of the time of a small network on two threads. The peak does not change.
    """
    if os.name != "posix" or not hasattr(ctypes.CDLL(None), "mallopt"):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _NEVER))
    return all(mallopt(name, value) == 1 for name, value in settings)
