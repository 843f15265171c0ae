"""Score a model in training on the validation scenes of its own level, without flip test."""

from __future__ import annotations

from collections.abc import Callable

from posebench.errors import TrainingError
from posebench.evaluation.protocol import ScoringOptions, evaluate
from posebench.execution import Parallelism
from posebench.model import PoseModel
from posebench.policies import CellNetwork
from posebench.predict import PreparedCell, predict
from posebench.progress import Report
from posebench.training.recipe import Recipe
from posebench.workload import SYNTHETIC_LEVELS, DataRequest, load_workload


def validation(recipe: Recipe, report: Report) -> Callable[[PoseModel], dict[str, float]]:
    """Return a function that gives AP and PCK, as fractions, of a model at its own size."""
    names = {level: name for name, level in SYNTHETIC_LEVELS.items()}
    request = DataRequest(dataset=names[recipe.data.level])
    workload = load_workload(
        request, ScoringOptions(), lambda done, total: report("render validation", done, total)
    )
    size = recipe.model.input_size

    def score(model: PoseModel) -> dict[str, float]:
        network = CellNetwork(model, size, size)
        cell = PreparedCell(network, recipe.model.codec, size, flip_test=False)
        (outcome,) = predict(
            [cell],
            workload.dataset,
            workload.instances,
            parallelism=Parallelism(batch_size=64),
            progress=lambda _: None,
        )
        if outcome.predictions is None:
            raise TrainingError(f"{recipe.name} cannot be evaluated: {outcome.failure}")
        scored = evaluate(workload.dataset, outcome.predictions, workload.scoring)
        return {
            "AP": scored.metrics.values["AP"] or 0.0,
            "PCK@0.1": scored.localisation.pck[0.1] or 0.0,
        }

    return score
