from __future__ import annotations

from typing import Any

import pytest

from posebench.datasets.checks.findings import are_numbers
from posebench.datasets.columns import number_column, number_matrix, sound_numbers

ODD = [
    None, "ab", [], [1, 2], [1, 2, 3, 4], [1, "2", 3], [1, None, 3], [1, [2], 3], [True, 2, 3],
    [1, 2, float("nan")], [1, float("inf"), 3], [1, 10**400, 3], (1, 2, 3), {"a": 1},
]  # fmt: skip


def test_sound_lists_become_rows() -> None:
    sound, values = sound_numbers([[1, 2.5, 3], [4, 5, 2**60]], 3)
    assert sound.tolist() == [True, True]
    assert values.tolist() == [[1, 2.5, 3], [4, 5, 2.0**60]]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_are_separated_from_sound_ones(odd: Any) -> None:
    lists = [[1, 2, 3], odd, [1e308, 1e308, 1e308], [0, 0, 0]]
    sound, values = sound_numbers(lists, 3)
    assert sound.tolist() == [are_numbers(value, 3) for value in lists] == [True, False, True, True]
    assert values.tolist() == [lists[0], lists[2], lists[3]]


@pytest.mark.parametrize("odd", [odd for odd in ODD if odd != [True, 2, 3]], ids=repr)
def test_a_matrix_takes_no_odd_value(odd: Any) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        number_matrix([[1, 2, 3], odd], 3)


def test_nothing_is_an_empty_array() -> None:
    assert number_column([]).shape == (0,)
    assert number_matrix([], 3).shape == (0, 3)
    sound, values = sound_numbers([], 3)
    assert (sound.shape, values.shape) == ((0,), (0, 3))
