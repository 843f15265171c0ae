"""What people and clusters say about shards."""

from __future__ import annotations

import re

import pytest

from posebench.errors import UsageError
from posebench.results.shared.locks import Shard
from posebench.running.sharing.shards import shard_of


def array(
    task: int, count: int, first: int = 1, last: int | None = None, step: int = 1
) -> dict[str, str]:
    numbers = {
        "ID": task, "COUNT": count, "MIN": first, "STEP": step,
        "MAX": first + (count - 1) * step if last is None else last,
    }  # fmt: skip
    return {f"SLURM_ARRAY_TASK_{name}": str(number) for name, number in numbers.items()}


@pytest.mark.parametrize(
    ("text", "environment", "index", "count"),
    [
        ("2/7", {}, 2, 7),
        ("1/1", array(3, 3), 1, 1),
        ("auto", array(1, 4), 1, 4),
        ("auto", array(4, 4), 4, 4),
        ("auto", array(0, 4, first=0), 1, 4),
        ("auto", array(16, 3, first=10, step=3), 3, 3),
        ("auto/7", array(5, 2, first=3), 5, 7),
        ("auto/7", {"JOB_COMPLETION_INDEX": "0"}, 1, 7),
        ("auto/7", {"JOB_COMPLETION_INDEX": "6"}, 7, 7),
    ],
)
def test_shards_are_counted_from_one(
    text: str, environment: dict[str, str], index: int, count: int
) -> None:
    assert shard_of(text, environment) == Shard(index, count)
    assert str(Shard(index, count)) == f"{index}/{count}"


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("0/7", {}, "from 1 to 7"),
        ("8/7", {}, "from 1 to 7"),
        ("7", {}, "no part of a run"),
        ("a/b", {}, "no part of a run"),
        ("1/0", {}, "from 1 to 0"),
        ("auto", {}, "finds neither"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "does not tell"),
        ("auto/3", {"JOB_COMPLETION_INDEX": "3"}, "from 1 to 3"),
        ("auto/3", {"JOB_COMPLETION_INDEX": "x"}, "is no number"),
        # Two of an array's tasks, submitted again.
        ("auto", array(5, 2, first=3, last=5), "cannot tell how many"),
        ("auto/4", array(5, 2, first=3, last=5), "from 1 to 4"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1"}, "COUNT is not set"),
        ("auto", array(0, 3, first=0, last=7), r"write .*TASK_ID \+ 1"),
        # Task 3 of an array from 0 on is the fourth.
        ("auto/8", array(3, 3, first=0, last=7), r"the tasks of this array from 0"),
        # Variables that contradict each other.
        ("auto", array(9, 3), "no task of an array from 1 to 3"),
        ("auto", array(3, 3, step=3), "no task of an array from 1 to 7 in steps of 3"),
        ("auto", array(2, 0, last=0, step=0), "no task of an array"),
    ],
)
def test_what_is_no_shard_is_refused(text: str, environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        shard_of(text, environment)
    assert re.search(said, str(raised.value))
