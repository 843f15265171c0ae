"""What a shard of a run trains: the checkpoints whose cells it evaluates.

Untrained weights stand in for those of other shards, so that every shard plans the whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from posebench.prediction.execution import Progress
from posebench.results.shared.locks import Shard
from posebench.running.loading import LoadedCheckpoints
from posebench.running.plan import SuitePlan
from posebench.running.probing import PlannedProbe, plan_probes
from posebench.running.request import RunRequest
from posebench.running.run_suite import plan_of
from posebench.running.sharing.asked import asked_of
from posebench.running.sharing.dealing import training_of
from posebench.running.sources import SuiteCheckpoint
from posebench.running.trained.forecast import stand_ins
from posebench.running.trained.train_suite import PlannedTraining, TrainingShare, plan_trainings


@contextmanager
def share_trained(
    request: RunRequest,
    shard: Shard,
    train: Callable[[TrainingShare], tuple[SuiteCheckpoint, ...]],
    progress: Progress,
) -> Iterator[RunRequest]:
    """Train what a shard evaluates, and yield the request with the checkpoints of all shards.

    `train` returns the checkpoints of a share, with a problem if they could not be trained. Raises
    `PosebenchError` if recipes or data do not fit.
    """
    planned = plan_trainings(request.suite, request.folder, request.out)
    crops = {each.training.name: each.crops for each in planned}
    request = replace(request, shard=shard, crops=crops)
    asked = asked_of(request, *plan_with_stand_ins(request, planned, progress))
    found = train(TrainingShare(shard, asked.trainings))
    untrained = {
        name: each.problem
        for each in found
        if each.problem is not None and (name := training_of(each)) is not None
    }
    with stand_ins(request.suite, [each.training for each in planned], request.out) as trained:
        yield replace(request, trained=trained, untrained=untrained)


def plan_with_stand_ins(
    request: RunRequest, planned: Sequence[PlannedTraining], progress: Progress
) -> tuple[SuitePlan, tuple[PlannedProbe, ...]]:
    """Return the cells and probes that a suite will have when all its checkpoints are trained."""
    trainings, loaded = [each.training for each in planned], LoadedCheckpoints()
    with stand_ins(request.suite, trainings, request.out) as trained:
        plan = plan_of(replace(request, trained=trained), loaded, progress)
        return plan, plan_probes(request.suite, plan.checkpoints, plan.workloads, loaded)
