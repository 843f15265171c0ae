"""Lanes: every batch once, errors and Ctrl-C raised by the caller's thread, threads given back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from posebench.prediction.lanes import run_in_lanes

LANES = pytest.mark.parametrize("lanes", [1, 2, 3])


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def lane_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lane")]


@LANES
def test_every_batch_is_taken_once_and_in_order(lanes: int) -> None:
    taken: list[int] = []

    def batches() -> Iterator[int]:
        for batch in range(1, 51):
            taken.append(batch)
            yield batch

    ran: list[int] = []
    reported: list[int] = []

    def run(batch: int) -> int:
        ran.append(batch)
        return batch

    run_in_lanes(run, batches(), lanes, reported.append)
    assert taken == list(range(1, 51))
    assert sorted(ran) == sorted(reported) == taken


def test_lanes_run_side_by_side() -> None:
    # Every batch waits until three are under way: one lane less would wait for ever.
    meeting = threading.Barrier(3, timeout=20)

    def run(_batch: int) -> int:
        meeting.wait()
        return 1

    done: list[int] = []
    run_in_lanes(run, iter(range(6)), 3, done.append)
    assert sum(done) == 6


@pytest.mark.parametrize(("lanes", "threads"), [(1, 3), (2, 1), (3, 1), (5, 1)])
def test_lanes_share_the_threads_and_give_them_back(lanes: int, threads: int) -> None:
    seen: set[int] = set()

    def run(_batch: int) -> int:
        seen.add(torch.get_num_threads())
        return 1

    run_in_lanes(run, iter(range(20)), lanes, lambda _: None)
    assert seen == {threads}
    assert torch.get_num_threads() == 3


@LANES
def test_progress_is_reported_by_the_callers_thread(lanes: int) -> None:
    reporters: set[threading.Thread] = set()
    run_in_lanes(
        lambda _: 1, iter(range(9)), lanes, lambda _: reporters.add(threading.current_thread())
    )
    assert reporters == {threading.current_thread()}


@LANES
def test_what_a_lane_raises_is_raised_when_all_have_stopped(lanes: int) -> None:
    ran: list[int] = []

    def run(batch: int) -> int:
        ran.append(batch)
        if batch == 4:
            raise MemoryError("batch 4")
        time.sleep(0.001)
        return 1

    with pytest.raises(MemoryError, match="batch 4"):
        run_in_lanes(run, iter(range(1000)), lanes, lambda _: None)
    assert lane_threads() == []
    assert len(ran) < 100
    assert torch.get_num_threads() == 3


@LANES
def test_batches_that_cannot_be_had_raise(lanes: int) -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        run_in_lanes(lambda _: 1, batches(), lanes, lambda _: None)
    assert lane_threads() == []


@LANES
def test_ctrl_c_stops_the_lanes(lanes: int) -> None:
    ran: list[int] = []

    def run(batch: int) -> int:
        ran.append(batch)
        time.sleep(0.001)
        return 1

    def progress(_: int) -> None:
        raise KeyboardInterrupt  # as the signal does, in the caller's thread

    with pytest.raises(KeyboardInterrupt):
        run_in_lanes(run, iter(range(1000)), lanes, progress)
    assert lane_threads() == []
    assert len(ran) < 100
    assert torch.get_num_threads() == 3


@LANES
def test_no_batch_is_taken_once_there_is_no_use_going_on(lanes: int) -> None:
    hopeless = threading.Event()
    ran: list[int] = []
    reported: list[int] = []

    def run(batch: int) -> int:
        ran.append(batch)
        if batch == 5:
            hopeless.set()
        return 0 if hopeless.is_set() else 1

    run_in_lanes(run, iter(range(1000)), lanes, reported.append)
    # Each lane meets it once at most.
    assert len(ran) <= 6 + lanes
    assert len(reported) == len([batch for batch in ran if batch < 5])
