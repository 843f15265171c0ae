"""Score a model in training on the validation scenes of its own level, without flip test."""

from __future__ import annotations

from collections.abc import Callable

from posebench.datasets.coco import ground_truth_instances
from posebench.datasets.requests import SYNTHETIC_LEVELS, DataRequest, load_pose_dataset
from posebench.errors import TrainingError
from posebench.networks.codecs import own_decoder
from posebench.networks.model import PoseModel
from posebench.networks.policies import CellNetwork
from posebench.prediction.execution import Parallelism, Progress
from posebench.prediction.predict import NetworkRun, predict
from posebench.scoring.evaluate import ScoringOptions, evaluate
from posebench.suites.recipe import Recipe
from posebench.suites.training_data import RenderedData


def validation(recipe: Recipe, report: Progress) -> Callable[[PoseModel], dict[str, float]]:
    """Return a function that gives AP and PCK, as fractions, of a model at its own size."""
    assert isinstance(recipe.data, RenderedData)
    names = {level: name for name, level in SYNTHETIC_LEVELS.items()}
    request = DataRequest(dataset=names[recipe.data.level])
    dataset = load_pose_dataset(
        request, lambda done, total: report("render validation", done, total)
    )
    instances = ground_truth_instances(dataset)
    size = recipe.model.input_size

    def score(model: PoseModel) -> dict[str, float]:
        network = CellNetwork(model, size, size)
        decoder = own_decoder(recipe.model.codec)
        run = NetworkRun(network, recipe.model.codec, size, False, (decoder,))
        outcome = predict(
            {recipe.name: run},
            dataset,
            instances,
            parallelism=Parallelism(batch_size=64),
            progress=lambda _: None,
        )[recipe.name][decoder]
        if outcome.predictions is None:
            raise TrainingError(f"{recipe.name} cannot be evaluated: {outcome.failure}")
        scored = evaluate(dataset, outcome.predictions, ScoringOptions())
        return {name: scored.metrics.values[name] or 0.0 for name in ("AP", "PCK@0.1")}

    return score
