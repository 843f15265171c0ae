"""One step of learning, the same on every device: forward, loss, backward, AdamW, average.

Once its tensors exist, a step makes none from Python's numbers, so that a GPU can record it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from posebench.lab.training.starting_points import Teacher
from posebench.lab.training.state import TrainingState
from posebench.networks.heads import training_loss
from posebench.networks.heads.family import Outputs
from posebench.suites.recipe import Recipe


class Learner:
    """Moves a state's weights, batch by batch."""

    def __init__(self, recipe: Recipe, state: TrainingState, teacher: Teacher | None) -> None:
        self._recipe = recipe
        self._state = state
        self._teacher = teacher
        self._loss = training_loss(recipe.model.head, state.model.head)
        self._parameters = list(state.model.parameters())
        self.device = self._parameters[0].device
        self._rate: Tensor = state.optimiser.param_groups[0]["lr"]
        # How far the averaged weights move towards the new ones.
        self._pace = torch.zeros((), device=self.device)
        pairs = zip(
            state.average.state_dict().values(), state.model.state_dict().values(), strict=True
        )
        moving = [(mean, value) for mean, value in pairs if value.is_floating_point()]
        self._means, self._values = (list(each) for each in zip(*moving, strict=True))

    def prepare(self) -> None:
        """Set learning rate and pace for the state's step; never a part of a recorded step."""
        step = self._state.step
        self._rate.fill_(learning_rate(self._recipe, step))
        # Early on faster, so that the average forgets the initial weights.
        keep = min(self._recipe.optimisation.ema_decay, (1 + step) / (10 + step))
        self._pace.fill_(1 - keep)

    def learn(self, inputs: Tensor, targets: Outputs, weight: Tensor) -> Tensor:
        """Take one step on inputs (N, 3, H, W); return the loss, a number on the device."""
        optimisation, state = self._recipe.optimisation, self._state
        bf16 = optimisation.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
            outputs = state.model(inputs)
            answers = None if self._teacher is None else self._teacher.answers(inputs)
        loss = self._loss(outputs, targets, weight, self._recipe.loss)
        if self._teacher is not None and answers is not None:
            taught = self._teacher.loss(outputs, answers, weight, self._recipe.loss)
            loss = (1 - self._teacher.weight) * loss + self._teacher.weight * taught
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, optimisation.clip_norm, foreach=True)
        state.optimiser.step()
        self._average()
        return loss.detach()

    @torch.no_grad()
    def _average(self) -> None:
        if self.device.type == "cpu":
            torch._foreach_lerp_(self._means, self._values, float(self._pace))
            return
        # A recorded step takes the pace as a tensor, which this spelling alone does in few calls.
        away = torch._foreach_sub(self._values, self._means)
        torch._foreach_mul_(away, self._pace)
        torch._foreach_add_(self._means, away)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to 0."""
    done = (step + 1) / recipe.steps
    warmup = recipe.optimisation.warmup
    if done < warmup:
        return recipe.optimisation.learning_rate * done / warmup
    cosine = 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1 - warmup, 1e-9)))
    return recipe.optimisation.learning_rate * cosine
