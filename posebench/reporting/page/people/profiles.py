"""Run networks again for the instances of the gallery. Loads torch.

No other module of the report does; this one is imported only when it is to run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset
from posebench.errors import CheckpointError, DataError
from posebench.networks.policies import Policy, apply_policy
from posebench.prediction.execution import Execution, Parallelism
from posebench.prediction.kept.outputs import read_outputs
from posebench.prediction.predict import predict
from posebench.prediction.predictions import Predictions
from posebench.results.store import Run, StoredCell
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import NetworkPlanner, RunKey, Storage
from posebench.running.sources import CheckpointSource, suite_checkpoints
from posebench.running.trained.kept import trained_checkpoint
from posebench.running.workload import Workload, scoring_options
from posebench.scoring.evaluate import ScoreChecks
from posebench.suites.shipped import folder_of

Outputs = tuple[NDArray[np.float32], ...]


class NetworkAnswers:
    """Asks the networks of a run again, in fp32 on the CPU; each checkpoint is loaded once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._loaded = LoadedCheckpoints()

    def __call__(
        self, cell: StoredCell, dataset: PoseDataset, predictions: Predictions, rows: Sequence[int]
    ) -> Outputs:
        """Return the outputs, each (M, K, ...), of a cell's network for M rows of its predictions.

        Raises `PosebenchError` where the checkpoint is gone or is not the one of the run.
        """
        result = cell.result
        source = _source(self._run, result.checkpoint.name)
        loaded = self._loaded.load(source)
        if loaded.sha256 != result.checkpoint.sha256:
            raise CheckpointError(f"{source.path} is not the checkpoint of the run any more.")
        if result.transform is not None:
            raise CheckpointError(f"Outputs of a network under {result.transform} are not drawn.")
        instances = _instances(dataset, predictions, np.asarray(rows))
        workload = Workload(
            dataset,
            instances,
            result.protocol,
            scoring_options(self._run.record.suite),
            ScoreChecks(),
        )
        assert result.size is not None
        with tempfile.TemporaryDirectory() as folder:
            planner = NetworkPlanner(loaded, source, ("own",), Storage(raw=Path(folder)))
            size, policy = result.size, cast("Policy", result.policy)
            flip_test = bool(result.protocol.flip_test)
            key = RunKey(0, source.name, size, policy, flip_test, Execution())
            plan, results = planner.plan(key, workload)
            (decoder, planned), *_ = results.items()
            if planned.status != "ok" or plan.raw is None:
                raise CheckpointError(planned.reason or "The cell cannot run any more.")
            network = apply_policy(loaded.network, size, policy)
            outcome = predict(
                {"cell": plan.with_network(network, (decoder,))},
                dataset,
                instances,
                parallelism=Parallelism(),
                progress=lambda _: None,
            )["cell"][decoder]
            if outcome.failure is not None:
                raise outcome.failure
            order, outputs = zip(*read_outputs(plan.raw, len(instances)), strict=True)
        back = np.argsort(np.concatenate(order))
        return tuple(np.concatenate(parts)[back] for parts in zip(*outputs, strict=True))


def _source(run: Run, name: str) -> CheckpointSource:
    trained = trained_checkpoint(run.folder, name)
    if trained is not None:
        return CheckpointSource(trained, name)
    folder = folder_of(run.record.source)
    for checkpoint in suite_checkpoints(run.record.suite, folder):
        if checkpoint.source.name == name and checkpoint.problem is None:
            return checkpoint.source
    raise DataError(f"The checkpoint {name} is not there any more.")


def _instances(dataset: PoseDataset, predictions: Predictions, rows: NDArray[np.intp]) -> Instances:
    places = {image.id: index for index, image in enumerate(dataset.images)}
    return Instances(
        image_index=np.array([places[int(i)] for i in predictions.image_ids[rows]], dtype=np.int64),
        ids=predictions.ids[rows],
        bbox_xyxy=predictions.bbox_xyxy[rows],
        bbox_scores=predictions.bbox_scores[rows],
    )
