"""Outputs that wait on a device to be decoded together."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from posebench.prediction.decoding import WaitingOutputs, first_not_finite


def batch(start: int, count: int = 2) -> tuple[np.ndarray, tuple[torch.Tensor, ...]]:
    rows = np.arange(start, start + count)
    return rows, (torch.from_numpy(rows * 1.0)[:, None], torch.from_numpy(rows * 2.0)[:, None])


def test_outputs_wait_until_there_are_enough() -> None:
    waiting = WaitingOutputs(bytes_at_once=3 * 2 * 2 * 8)
    assert waiting.rest() is None
    assert waiting.add(*batch(4)) is None
    assert waiting.add(*batch(0)) is None
    together = waiting.add(*batch(8))
    assert together is not None
    rows, (one, other) = together
    assert rows.tolist() == [4, 5, 0, 1, 8, 9]
    assert one[:, 0].tolist() == rows.tolist() and other[:, 0].tolist() == (2 * rows).tolist()
    assert waiting.rest() is None
    assert waiting.add(*batch(2)) is None
    rest = waiting.rest()
    assert rest is not None and rest[0].tolist() == [2, 3]


def test_lanes_that_share_them_lose_and_double_none() -> None:
    waiting, found = WaitingOutputs(bytes_at_once=5 * 16), list[int]()

    def lane(start: int) -> None:
        for first in range(start, start + 200, 2):
            together = waiting.add(*batch(first))
            if together is not None:
                found.extend(together[0].tolist())

    lanes = [threading.Thread(target=lane, args=(200 * each,)) for each in range(4)]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    rest = waiting.rest()
    found += [] if rest is None else rest[0].tolist()
    assert sorted(found) == list(range(800))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("in_torch", [False, True])
def test_the_first_broken_instance_is_found_in_any_output(value: float, in_torch: bool) -> None:
    one, other = np.ones((5, 3, 4), np.float32), np.ones((5, 3, 2), np.float32)

    def found() -> int | None:
        arrays = one, other
        return first_not_finite(tuple(map(torch.from_numpy, arrays)) if in_torch else arrays)

    assert found() is None
    other[3, 2, 1] = value
    assert found() == 3
    one[1, 0, 0] = value
    assert found() == 1


def test_a_sum_that_overflows_is_no_broken_instance() -> None:
    assert first_not_finite((np.full((4, 2, 2), 3e38, np.float32),)) is None
