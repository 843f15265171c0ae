"""Networks made ready to run: optimised, at their cell's size, by their engine, on a device."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from posebench.checkpoints import Checkpoint
from posebench.errors import CheckpointError
from posebench.networks.model import Network
from posebench.networks.policies import CellNetwork, apply_policy
from posebench.prediction.crop_batches import CropRequest, calibration_crops
from posebench.prediction.engines import execute, optimise
from posebench.prediction.execution import Execution, Parallelism
from posebench.running.network_plans import NetworkPlan
from posebench.running.workload import Workload


class ReadyNetworks:
    """Makes networks ready; weights are optimised once for all runs of a checkpoint and engine."""

    def __init__(self, parallelism: Parallelism) -> None:
        self._parallelism = parallelism
        self._optimised: dict[tuple[Path, Path | None, Execution], Network] = {}

    def network(self, plan: NetworkPlan, checkpoint: Checkpoint, workload: Workload) -> CellNetwork:
        """Return the network of a plan as its engine runs it.

        Raises `UnsupportedExecutionError` if the engine cannot run it, and `CheckpointError` if the
        file is not the one that the plan was made for.
        """
        if checkpoint.sha256 != plan.sha256:
            raise CheckpointError(f"{plan.source.path} was changed while the run was under way.")
        key, execution = plan.key, plan.key.execution
        shared = *plan.source.files, execution
        if shared not in self._optimised:
            self._optimised[shared] = optimise(checkpoint.network, execution)
        adapted = apply_policy(self._optimised[shared], key.size, key.policy)
        crops = CropRequest(key.size, adapted.input_size, adapted.spec.crop)
        calibration = partial(calibration_crops, crops, workload.dataset, workload.instances)
        return execute(adapted, execution, self._parallelism, calibration)


def on_device(plan: NetworkPlan, device: str) -> NetworkPlan:
    """Return a plan for another device of the same kind."""
    execution = replace(plan.key.execution, device=device)
    return replace(plan, key=replace(plan.key, execution=execution))
