"""Shards as people write them: `2/7`, or `auto` for what a cluster says to each of its jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from posebench.errors import UsageError
from posebench.results.shared.locks import Shard

_PLAIN = re.compile(r"(\d{1,6})/(\d{1,6})")
_AUTO = re.compile(r"auto(?:/(\d{1,6}))?")
_SLURM_ID = "SLURM_ARRAY_TASK_ID"
_INDEX = "JOB_COMPLETION_INDEX"


def shard_of(text: str, environment: Mapping[str, str]) -> Shard:
    """Return the shard that a text means.

    `auto` is the task of a SLURM array, `auto/7` one of 7 tasks of a SLURM array from 1 on or of a
    Kubernetes indexed job, as `environment` says. Raises `UsageError` for other texts, and where
    the environment does not say.
    """
    plain, auto = _PLAIN.fullmatch(text), _AUTO.fullmatch(text)
    if plain:
        return _checked(Shard(int(plain[1]), int(plain[2])), text)
    if auto is None:
        raise UsageError(
            f"--shard {text} is no part of a run.",
            hint="Write 2/7 for the second of seven, or auto in an array of jobs.",
        )
    count = auto[1] and int(auto[1])
    if _SLURM_ID in environment:
        task = _Task(_number(environment, _SLURM_ID), environment)
        return _checked(task.numbered(count), text) if count else task.counted()
    if _INDEX in environment:
        if not count:
            raise UsageError(
                "Kubernetes does not tell a job how many there are.",
                hint="Write --shard auto/N, where N is the job's `completions`.",
            )
        return _checked(Shard(_number(environment, _INDEX) + 1, count), text)
    raise UsageError(
        f"--shard {text} finds neither {_SLURM_ID} nor {_INDEX}.",
        hint="Outside of an array of jobs, write which shard it is, such as --shard 2/7.",
    )


@dataclass(frozen=True)
class _Task:
    """A task of a SLURM array, whose ids may begin and step as they like."""

    index: int
    environment: Mapping[str, str]

    def numbered(self, count: int) -> Shard:
        """Return the shard of this number, in an array that counts from 1.

        Raises `UsageError` in one that counts from 0, where task 3 is the fourth.
        """
        if self._fact("MIN", 1) == 0:
            raise UsageError(
                f"--shard auto/{count} counts from 1, and the tasks of this array from 0.",
                hint=f"Submit it as --array=1-N, or write --shard $(({_SLURM_ID} + 1))/{count}.",
            )
        return Shard(self.index, count)

    def counted(self) -> Shard:
        """Return the place of this task among all of its array.

        Raises `UsageError` if the array lacks some of them.
        """
        count, last = self._fact("COUNT"), self._fact("MAX")
        first, step = self._fact("MIN", 1), max(self._fact("STEP", 1), 1)
        place, odd = divmod(self.index - first, step)
        if (last - first) // step + 1 != count:
            raise UsageError(
                f"This array has {count} of the tasks from {first} to {last}, so that --shard auto "
                "cannot tell how many shards there were.",
                hint="For some tasks of an array from 1 on, write --shard auto/N, where N is its "
                f"size; of one from 0 on, --shard $(({_SLURM_ID} + 1))/N.",
            )
        if odd or not 0 <= place < count:
            raise UsageError(
                f"{_SLURM_ID} is {self.index}, which is no task of an array from {first} to {last}"
                + (f" in steps of {step}." if step > 1 else "."),
                hint="Write --shard i/n instead.",
            )
        return Shard(place + 1, count)

    def _fact(self, name: str, default: int | None = None) -> int:
        return _number(self.environment, f"SLURM_ARRAY_TASK_{name}", default)


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    if name not in environment and default is None:
        raise UsageError(f"{name} is not set.", hint="Write --shard i/n instead.")
    text = environment.get(name, str(default))
    if not text.isdecimal():
        raise UsageError(
            f"{name} is {text!r}, which is no number.", hint="Write --shard i/n instead."
        )
    return int(text)


def _checked(shard: Shard, text: str) -> Shard:
    if not 1 <= shard.index <= shard.count:
        raise UsageError(
            f"--shard {text} means shard {shard}, which is none: they go from 1 to {shard.count}.",
            hint="Write 1/7 for the first of seven.",
        )
    return shard
