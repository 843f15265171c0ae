"""Networks made ready to run: optimised, at their cell's size, by their engine, on a device."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from posebench.checkpoints import Checkpoint
from posebench.errors import CheckpointError, DataError
from posebench.lab.transforms import with_quantised_activations, with_transformed_weights
from posebench.networks.model import Network, PoseModel
from posebench.networks.policies import CellNetwork, apply_policy
from posebench.prediction.crop_batches import CropRequest, first_crops
from posebench.prediction.engines import execute, optimise
from posebench.prediction.execution import Execution, Parallelism
from posebench.running.network_plans import NetworkPlan
from posebench.running.workload import Workload
from posebench.suites.transforms import IDENTITY, Transform

# Crops of the run that a faster network is tried on: one batch.
_TRIED = 8


class ReadyNetworks:
    """Makes networks ready.

    Weights are transformed and optimised once for all runs of a checkpoint that share them.
    """

    def __init__(self, parallelism: Parallelism) -> None:
        self._parallelism = parallelism
        self._optimised: dict[tuple[Path, Path | None, Execution, Transform], Network] = {}

    def network(self, plan: NetworkPlan, checkpoint: Checkpoint, workload: Workload) -> CellNetwork:
        """Return the network of a plan as its engine runs it.

        Raises `UnsupportedExecutionError` if the engine cannot run it, and `CheckpointError` if the
        file is not the one that the plan was made for.
        """
        if checkpoint.sha256 != plan.sha256:
            raise CheckpointError(f"{plan.source.path} was changed while the run was under way.")
        key, execution, transform = plan.key, plan.key.execution, plan.key.transform
        is_read = plan.raw is not None and plan.raw.is_complete
        shared = (*plan.source.files, execution, transform if transform.moves_weights else IDENTITY)
        if shared not in self._optimised:
            network = with_transformed_weights(checkpoint.network, transform)
            crops = None if is_read else _trial(network, execution, workload)
            self._optimised[shared] = optimise(network, execution, crops)
        adapted = apply_policy(self._optimised[shared], key.size, key.policy)
        asked = CropRequest(key.size, adapted.input_size, adapted.spec.crop)
        calibration = partial(first_crops, asked, workload.dataset, workload.instances)
        if transform.activation_bits is not None and not is_read:
            crops = torch.from_numpy(calibration())
            adapted = with_quantised_activations(adapted, transform, crops)
        return execute(adapted, execution, self._parallelism, calibration)


def _trial(network: Network, execution: Execution, workload: Workload) -> Tensor | None:
    """Return the first crops of a run at the trained size; None where nothing is tried on them."""
    if execution.engine == "eager" or not isinstance(network, PoseModel):
        return None
    spec = network.spec
    asked = CropRequest(spec.input_size, spec.input_size, spec.crop)
    try:
        found = first_crops(asked, workload.dataset, workload.instances, _TRIED)
    except DataError:
        return None  # the cells meet it again, as their failure
    return torch.from_numpy(found)


def on_device(plan: NetworkPlan, device: str) -> NetworkPlan:
    """Return a plan for another device of the same kind."""
    execution = replace(plan.key.execution, device=device)
    return replace(plan, key=replace(plan.key, execution=execution))
