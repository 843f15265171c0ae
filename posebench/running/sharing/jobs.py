"""The cells of a run as jobs of about one cost, for workers that each take one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from posebench.prediction.kept.parts import Span
from posebench.running.passes import grouped
from posebench.running.plan import PlannedCell
from posebench.running.sharing.costs import cost_of

# A segment has at least so many batches: below, its start takes longer.
_LEAST_BATCHES = 32


@dataclass(frozen=True)
class Segment:
    """A span of the instances of one network run, whose predictions are kept for its cells."""

    cells: tuple[PlannedCell, ...]
    span: Span


def jobs_on(cells: Sequence[PlannedCell], workers: int) -> list[list[PlannedCell]]:
    """Return which cells run together, the dearest first, so that workers end together.

    These are a checkpoint's on one data set; those of a checkpoint that is dearer than a fair share
    run by themselves, but for decoders, which share a network.
    """
    groups = grouped(cells, lambda cell: (cell.runs.key.workload, cell.checkpoint.source.files))
    fair = cost_of(cells) / workers
    jobs = []
    for group in groups:
        whole = cost_of(group) <= fair and len(groups) >= workers
        jobs += [group] if whole else grouped(group, lambda cell: cell.runs.key)
    return sorted(jobs, key=lambda job: (-cost_of(job), job[0].id))


def segments_of(job: Sequence[PlannedCell], share: float, batch_size: int) -> list[Segment]:
    """Return the segments that a job falls into, each of whole batches and a share of the cost.

    There are none if the job is no dearer than a share or has more than one network, or if its
    predictions are not kept, or are there.
    """
    runs = job[0].runs
    if any(cell.runs.key != runs.key for cell in job) or not runs.files or runs.raw is not None:
        return []
    if all(file.is_kept for file in runs.files.values()):
        return []
    instances = job[0].result.protocol.instances
    batches = -(-instances // batch_size)
    parts = min(-int(-cost_of(job) // share), batches // _LEAST_BATCHES) if share else 0
    if parts < 2:
        return []
    ends = [batches * part // parts * batch_size for part in range(parts)] + [instances]
    return [Segment(tuple(job), Span(start, stop)) for start, stop in pairwise(ends)]
