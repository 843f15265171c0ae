"""Score a model in training, without flip test.

Rendered data have validation scenes of the same level; of a folder, the first images of the
recipe's validation split are taken.
"""

from __future__ import annotations

from collections.abc import Callable

from posebench.datasets.choices import SYNTHETIC_LEVELS
from posebench.datasets.coco import ground_truth_instances
from posebench.datasets.layout import locate
from posebench.datasets.requests import DataRequest, load_pose_dataset
from posebench.errors import DataError, TrainingError
from posebench.networks.codecs import own_decoder
from posebench.networks.model import PoseModel
from posebench.networks.policies import CellNetwork
from posebench.prediction.execution import Parallelism, Progress
from posebench.prediction.predict import NetworkRun, predict
from posebench.scoring.evaluate import ScoringOptions, evaluate
from posebench.suites.recipe import Recipe
from posebench.suites.training_data import FolderData, TrainingData

VALIDATION_IMAGES = 256


def validation(recipe: Recipe, report: Progress) -> Callable[[PoseModel], dict[str, float]]:
    """Return a function that gives AP and PCK, as fractions, of a model at its own size.

    Raises `TrainingError` if a folder lacks the split.
    """
    _check_split(recipe)
    dataset = load_pose_dataset(
        _request(recipe.data), lambda done, total: report("render validation", done, total)
    )
    instances = ground_truth_instances(dataset)
    size = recipe.model.input_size

    def score(model: PoseModel) -> dict[str, float]:
        network = CellNetwork(model, size, size)
        codec = model.spec.codec
        decoder = own_decoder(codec)
        device = str(next(model.parameters()).device)
        run = NetworkRun(network, codec, size, False, (decoder,), device=device)
        outcome = predict(
            {recipe.name: run},
            dataset,
            instances,
            parallelism=Parallelism(batch_size=64),
            progress=lambda _: None,
        )[recipe.name][decoder]
        if outcome.predictions is None:
            raise TrainingError(
                f"{recipe.name} cannot be evaluated: {outcome.failure}",
                hint="If it diverged, lower optimisation.learning_rate.",
            )
        scored = evaluate(dataset, outcome.predictions, ScoringOptions())
        return {name: scored.metrics.values[name] or 0.0 for name in ("AP", "PCK@0.1")}

    return score


def _check_split(recipe: Recipe) -> None:
    data = recipe.data
    if not isinstance(data, FolderData):
        return
    try:
        locate(data.folder, split=data.validation)
    except DataError as error:
        raise TrainingError(
            f"{recipe.name} is to be scored on the split {data.validation!r} of {data.folder} while"
            f" it trains. {error.message}",
            hint=f"Name another split as `validation` beside the folder. {error.hint}",
        ) from None


def _request(data: TrainingData) -> DataRequest:
    if isinstance(data, FolderData):
        return data.request(data.validation, VALIDATION_IMAGES)
    names = {level: name for name, level in SYNTHETIC_LEVELS.items()}
    return DataRequest(dataset=names[data.level])
