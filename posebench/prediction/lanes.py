"""Lanes: threads that each run whole batches, on a share of torch's threads.

Two batches side by side, on one thread each, are faster than one after the other on two threads,
because no thread waits for another at the end of every layer.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

Batch = TypeVar("Batch")


def run_in_lanes(
    run: Callable[[Batch], int],
    batches: Iterator[Batch],
    lanes: int,
    progress: Callable[[int], None],
) -> None:
    """Call `run` with each of `batches`, `lanes` at a time, and `progress` with what it returns.

    A lane ends when `run` returns 0. An exception of `run`, or Ctrl-C, is raised here when all
    lanes have stopped. `progress` is called by this thread.
    """
    if lanes == 1:
        for batch in batches:
            done = run(batch)
            if not done:
                return
            progress(done)
        return
    shared = _Shared(run, batches)
    threads = torch.get_num_threads()
    device = _current_gpu()
    lane_threads = [
        threading.Thread(
            target=shared.work, args=(max(threads // lanes, 1), device), name=f"lane {lane}"
        )
        for lane in range(lanes)
    ]
    for lane_thread in lane_threads:
        lane_thread.start()
    try:
        shared.report(lanes, progress)
    finally:
        shared.stopped = True
        for lane_thread in lane_threads:
            lane_thread.join()
        torch.set_num_threads(threads)


def _current_gpu() -> int | None:
    """Return the GPU of this thread, None if it uses none."""
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.current_device() if in_use else None


class _Shared:
    """What the lanes of one run share."""

    def __init__(self, run: Callable[[Batch], int], batches: Iterator[Batch]) -> None:
        self.stopped = False
        self._run = run
        self._batches = batches
        self._lock = threading.Lock()
        # Instances done, what a lane raised, and None from each lane that ends.
        self._messages: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()

    def work(self, threads: int, device: int | None) -> None:
        """Run batches until there are no more, on a GPU, if there is one, that is this one."""
        try:
            torch.set_num_threads(threads)
            if device is not None:  # else cuBLAS warns that the thread has no device
                torch.cuda.set_device(device)
            while not self.stopped:
                with self._lock:
                    batch = next(self._batches, None)
                if batch is None:
                    break
                done = self._run(batch)
                if not done:
                    break
                self._messages.put(done)
        except BaseException as error:
            self._messages.put(error)
        finally:
            self._messages.put(None)

    def report(self, lanes: int, progress: Callable[[int], None]) -> None:
        """Report progress until all lanes have ended, then raise the first exception of a lane."""
        failure: BaseException | None = None
        while lanes:
            message = self._messages.get()
            if message is None:
                lanes -= 1
            elif isinstance(message, BaseException):
                self.stopped = True
                failure = failure or message
            else:
                progress(message)
        if failure is not None:
            raise failure
