"""A step of every arm of the lab does nothing that a CUDA graph cannot record.

While a graph is recorded, the host must neither wait for the device nor copy to it from memory of
its own. On a CPU both show as operations: a tensor made of Python's numbers or of an array, a
number read back, or an output whose shape depends on values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import rendered_store
from torch.utils._python_dispatch import TorchDispatchMode

from posebench.checkpoints.native import save_checkpoint
from posebench.files.hashing import content_key
from posebench.lab.training.device_step import DeviceScenes, DeviceStep
from posebench.lab.training.learning import Learner
from posebench.lab.training.plans import batch_plans
from posebench.lab.training.starting_points import Teacher
from posebench.lab.training.state import TrainingState, new_state
from posebench.lab.training.steps import output_shapes
from posebench.networks.model import build_model
from posebench.suites.arms import trainings_of
from posebench.suites.collection import members_of
from posebench.suites.recipe import Recipe
from posebench.suites.settling import settled
from posebench.suites.shipped import shipped_suites

# Each makes the host wait, or copies from its memory.
UNRECORDABLE = {
    "aten.lift_fresh.default": "makes a tensor of Python's numbers or of an array",
    "aten._local_scalar_dense.default": "reads a number back",
    "aten.equal.default": "reads a truth back",
    "aten.nonzero.default": "has an output whose shape depends on values",
    "aten.masked_select.default": "has an output whose shape depends on values",
    "aten._unique2.default": "has an output whose shape depends on values",
    "aten.bincount.default": "has an output whose shape depends on values",
}


class Recording(TorchDispatchMode):
    """Refuses operations that cannot be recorded."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        reason = UNRECORDABLE.get(str(func))
        if str(func) == "aten.index.Tensor" and any(_is_mask(each) for each in args[1]):
            reason = UNRECORDABLE["aten.nonzero.default"]
        assert reason is None, f"{func} {reason}"
        return func(*args, **(kwargs or {}))


def _is_mask(index: torch.Tensor | None) -> bool:
    return index is not None and index.dtype == torch.bool


def recipes() -> Iterator[Any]:
    """Yield a tiny recipe of each kind of head, loss, bins and sizes that the lab trains."""
    seen = set[str]()
    for member in members_of(shipped_suites()["lab/all"]):
        suite = settled(member.suite, member.path.parent, "tiny").suite
        assert suite.trained is not None
        for training in trainings_of(suite.trained, member.path.parent):
            recipe = training.recipe
            options = {**recipe.model.backbone.options, "base_channels": 4}
            backbone = replace(recipe.model.backbone, options=options)
            recipe = replace(
                recipe,
                name="tiny",
                model=replace(recipe.model, backbone=backbone),
                optimisation=replace(recipe.optimisation, samples=4, batch_size=2),
                # Bins at quantiles are made before a step, and initial weights are taken.
                bins="even",
                initialise=None,
                seed=0,
            )
            key = content_key([str(recipe.model), str(recipe.loss), str(recipe.train_sizes),
                               recipe.distillation is not None])  # fmt: skip
            if key not in seen:
                seen.add(key)
                yield pytest.param(recipe, id=f"{member.suite.name}-{training.labels['arm']}")


def teacher_of(recipe: Recipe, folder: Path) -> tuple[Recipe, Teacher | None]:
    """Return a recipe whose teacher, if it has one, is an untrained network."""
    if recipe.distillation is None:
        return recipe, None
    path = folder / "teacher.safetensors"
    save_checkpoint(path, build_model(recipe.model), {})
    recipe = replace(recipe, distillation=replace(recipe.distillation, teacher=str(path)))
    return recipe, Teacher(recipe, torch.device("cpu"))


def forget(monkeypatch: pytest.MonkeyPatch, state: TrainingState) -> None:
    """Leave out what the CPU does in another way: AdamW's own step, and the average."""
    monkeypatch.setattr(state.optimiser, "step", lambda: None)
    monkeypatch.setattr(Learner, "_average", lambda _self: None)


@pytest.mark.parametrize("recipe", [*recipes()])
def test_a_step_can_be_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recipe: Recipe
) -> None:
    store = rendered_store(1)
    recipe, teacher = teacher_of(recipe, tmp_path)
    device = torch.device("cpu")
    state = new_state(recipe, device)
    forget(monkeypatch, state)
    learner = Learner(recipe, state, teacher)
    scenes = DeviceScenes(store, recipe.model.crop, device)
    step = DeviceStep(recipe, scenes, learner, output_shapes(recipe, state.model))
    plan = next(batch_plans(store, recipe, 0))
    # Steps before a graph is recorded may prepare what they like.
    step(plan)
    inner = step._step

    def recorded(arrays: Any, size: Any) -> torch.Tensor:
        with monkeypatch.context() as during, Recording():
            during.setattr(torch, "from_numpy", lambda _array: pytest.fail("copies an array"))
            return inner(arrays, size)

    monkeypatch.setattr(step, "_step", recorded)
    assert np.isfinite(float(step(plan)))


@pytest.mark.parametrize(
    "made",
    [
        lambda x: torch.tensor([1.0, 2.0]) + x,
        lambda x: torch.as_tensor(3) + x,
        lambda x: x[:, [1, 0]],
        lambda x: x * float(x.sum()),
        lambda x: x[x > 0],
        lambda x: x if (x > 0).all() else -x,
    ],
)
def test_what_cannot_be_recorded_is_noticed(made: Any) -> None:
    with Recording(), pytest.raises(AssertionError, match=r"aten\."):
        made(torch.ones(2, 2))


def test_what_can_be_recorded_passes() -> None:
    with Recording():
        x = torch.ones(2, 2) * 0.5 + torch.arange(2, dtype=torch.float32)
        torch.where(x > 1, x, 0.0).sum()
