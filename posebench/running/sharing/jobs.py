"""The cells of a run as jobs of about one cost, for workers that each take one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from posebench.running.passes import grouped
from posebench.running.plan import PlannedCell
from posebench.running.sharing.costs import cost_of


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
