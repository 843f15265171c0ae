"""How far a run is, in lines for the screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from posebench.results.shared.status import RunStatus

_MOST_SHOWN = 10
_WORDS = {True: "running", False: "not running", None: "nobody can tell here whether it runs"}


def status_lines(status: RunStatus, states: Mapping[str, str]) -> Iterator[str]:
    """Yield lines on a run; `states` are those of the jobs on a cluster, by key."""
    done = sum(status.done.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(status.done.items()))
    counted = f"{done} of {done + len(status.left)} results are there"
    yield f"{counted}: {kinds}" if kinds else counted
    yield from _shortened([f"failed: {name}: {why}" for name, why in status.reasons.items()])
    yield from _shortened([f"left: {name}" for name in status.left])
    if status.running is not False:
        yield f"The run: {_WORDS[status.running]}"
    for shard, runs in status.shards.items():
        yield f"Shard {shard}: {_WORDS[runs]}"
    notes = [note for note in status.submitted if note.key in states]
    yield from _shortened([f"task {note.id}: {states[note.key]}: {note.key}" for note in notes])
    if not status.left:
        yield f"Nothing is left: posebench claims {status.folder} judges the claims."


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST_SHOWN
    return lines if more <= 0 else [*lines[:_MOST_SHOWN], f"and {more} more"]
