"""The training loop: AdamW, cosine decay, averaged weights, resumable after every evaluation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from posebench.checkpoints.native import save_checkpoint
from posebench.errors import TrainingError
from posebench.files.records import mapping_from_record
from posebench.files.writing import naming_what_cannot_be_written, write_json
from posebench.lab.training.batches import TrainingBatch, training_batches
from posebench.lab.training.scenes import load_scenes
from posebench.lab.training.state import (
    TrainingState,
    new_state,
    restore_state,
    save_state,
    state_path,
)
from posebench.networks.heads import training_loss
from posebench.networks.model import PoseModel
from posebench.prediction.crops import normalise
from posebench.suites.recipe import Recipe

Progress = Callable[[str, int, int], None]
Evaluate = Callable[[PoseModel], dict[str, float]]


@dataclass(frozen=True)
class TrainingOutcome:
    """The written checkpoint, its curve file and what `evaluate` said last."""

    checkpoint: Path
    curve: Path
    metrics: dict[str, float]


def train(recipe: Recipe, out: Path, evaluate: Evaluate, progress: Progress) -> TrainingOutcome:
    """Train `recipe` and write `<name>.safetensors` and `<name>.curve.json` to `out`.

    `evaluate` scores the averaged weights, `recipe.evaluations` times in all. A run that was
    stopped goes on from its last evaluation when called again with the same recipe, and ends with
    the same weights. Raises `TrainingError` if the loss is no longer finite, or if the state in
    `out` cannot be continued.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{out} cannot be made a folder: {error.strerror}.") from None
    state, saved = new_state(recipe), state_path(recipe, out)
    curve = restore_state(recipe, state, saved)
    curve_path = out / f"{recipe.name}.curve.json"
    store = load_scenes(recipe.data, lambda done, total: progress("render", done, total))
    losses: list[float] = []
    clock = time.process_time()
    for batch in training_batches(store, recipe, state.step):
        losses.append(_train_step(recipe, state, batch))
        state.step += 1
        progress("train", state.step, recipe.steps)
        if _is_evaluation(recipe, state.step):
            state.cpu_seconds += time.process_time() - clock
            point = {"samples": state.step * recipe.optimisation.batch_size}
            curve.append({**point, "loss": sum(losses) / len(losses), **evaluate(state.average)})
            with naming_what_cannot_be_written(curve_path):
                write_json(curve_path, {"recipe": mapping_from_record(recipe), "curve": curve})
                save_state(recipe, state, curve, saved)
            losses, clock = [], time.process_time()
    provenance = {
        "recipe": mapping_from_record(recipe),
        "made_with": f"posebench train, torch {torch.__version__}",
        "cpu_seconds": round(state.cpu_seconds),
        "final": curve[-1],
    }
    checkpoint = out / f"{recipe.name}.safetensors"
    save_checkpoint(checkpoint, state.average, provenance)
    saved.unlink(missing_ok=True)
    metrics = {name: curve[-1][name] for name in curve[-1] if name not in ("samples", "loss")}
    return TrainingOutcome(checkpoint, curve_path, metrics)


def _learning_rate(recipe: Recipe, step: int) -> float:
    done = (step + 1) / recipe.steps
    warmup = recipe.optimisation.warmup
    if done < warmup:
        return recipe.optimisation.learning_rate * done / warmup
    cosine = 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1 - warmup, 1e-9)))
    return recipe.optimisation.learning_rate * cosine


def _train_step(recipe: Recipe, state: TrainingState, batch: TrainingBatch) -> float:
    optimisation = recipe.optimisation
    for group in state.optimiser.param_groups:
        group["lr"] = _learning_rate(recipe, state.step)
    inputs = normalised(batch, recipe)
    with torch.autocast("cpu", torch.bfloat16, enabled=optimisation.precision == "bf16"):
        outputs = state.model(inputs)
    loss = _loss(recipe, state.model, outputs, batch)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingError(
            f"{recipe.name}: the loss is {value} at step {state.step}.",
            hint="Lower optimisation.learning_rate or set optimisation.precision to fp32.",
        )
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.model.parameters(), optimisation.clip_norm)
    state.optimiser.step()
    _update_average(state, optimisation.ema_decay)
    return value


def normalised(batch: TrainingBatch, recipe: Recipe) -> Tensor:
    """Return network inputs (N, 3, H, W) float32, channels last in memory."""
    inputs = torch.from_numpy(normalise(batch.crops, recipe.model.crop))
    return inputs.contiguous(memory_format=torch.channels_last)


def _loss(
    recipe: Recipe, model: PoseModel, outputs: tuple[Tensor, ...], batch: TrainingBatch
) -> Tensor:
    spec = recipe.model
    shapes = [tuple(output.shape) for output in outputs]
    encoded = spec.codec.encode(batch.keypoints, batch.visible, spec.input_size, shapes)
    *targets, weight = (torch.from_numpy(array) for array in encoded)
    loss = training_loss(spec.head, model.head)
    return loss(outputs, tuple(targets), weight, recipe.loss)


@torch.no_grad()
def _update_average(state: TrainingState, decay: float) -> None:
    """Move the averaged weights; early on faster, so that they forget the initial ones."""
    decay = min(decay, (1 + state.step) / (10 + state.step))
    averaged = state.average.state_dict()
    for name, value in state.model.state_dict().items():
        if value.dtype.is_floating_point:
            averaged[name].lerp_(value, 1 - decay)
        else:
            averaged[name].copy_(value)


def _is_evaluation(recipe: Recipe, step: int) -> bool:
    """Tell whether one of the recipe's evenly spaced evaluations follows on this step."""
    count = min(recipe.evaluations, recipe.steps)
    return step * count // recipe.steps > (step - 1) * count // recipe.steps
