from __future__ import annotations

import pytest
import torch

from posebench.networks.heads import LossSettings
from posebench.networks.heads.losses import divergence_of_bins, squared_error

WEIGHT = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
BETA = 10.0
SETTINGS = LossSettings(simcc_beta=BETA)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def naive_heatmap_loss(output, target, weight):
    errors = [
        sum(
            float((output[n, k, i, j] - target[n, k, i, j]) ** 2)
            for i in range(5)
            for j in range(4)
        )
        for n in range(2)
        for k in range(3)
        if weight[n, k] > 0
    ]
    return sum(errors) / len(errors)


def naive_simcc_loss(outputs, targets, weight):
    total = 0.0
    for output, target in zip(outputs, targets, strict=True):
        divergences = []
        for n, k in weight.nonzero().tolist():
            p = torch.exp(target[n, k].double() * BETA)
            q = torch.exp(output[n, k].double() * BETA)
            p, q = p / p.sum(), q / q.sum()
            divergences.append(float((p * (p / q).log()).sum()))
        total += sum(divergences) / len(divergences)
    return total


def test_heatmap_loss_is_the_squared_error_of_labelled_maps():
    output, target = noise(2, 3, 5, 4), noise(2, 3, 5, 4, seed=1)
    expected = naive_heatmap_loss(output, target, WEIGHT)
    loss = squared_error((output,), (target,), WEIGHT, SETTINGS)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_simcc_loss_is_the_divergence_on_both_axes():
    outputs, targets = (noise(2, 3, 7), noise(2, 3, 9)), (noise(2, 3, 7, seed=1), noise(2, 3, 9))
    expected = naive_simcc_loss(outputs, targets, WEIGHT)
    loss = divergence_of_bins(outputs, targets, WEIGHT, SETTINGS)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def losses_of(outputs, targets, weight):
    heatmaps = squared_error((outputs[0],), (targets[0],), weight, SETTINGS)
    return heatmaps + divergence_of_bins(outputs[1:], targets[1:], weight, SETTINGS)


def three_outputs(seed: int) -> tuple[torch.Tensor, ...]:
    return (
        noise(2, 3, 5, 4, seed=seed),
        noise(2, 3, 7, seed=seed + 1),
        noise(2, 3, 9, seed=seed + 2),
    )


def test_there_is_no_loss_and_no_gradient_at_the_target():
    targets = three_outputs(0)
    outputs = tuple(target.clone().requires_grad_() for target in targets)
    loss = losses_of(outputs, targets, WEIGHT)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    assert all(float(output.grad.abs().max()) < 1e-5 for output in outputs)


def test_keypoints_of_weight_0_do_not_count():
    targets = three_outputs(0)
    outputs = tuple(output.requires_grad_() for output in three_outputs(10))
    loss = losses_of(outputs, targets, WEIGHT)
    loss.backward()
    hidden = WEIGHT == 0
    assert all(float(output.grad[hidden].abs().max()) == 0 for output in outputs)
    assert all(float(output.grad[~hidden].abs().max()) > 0 for output in outputs)
    elsewhere = tuple(output.detach().clone() for output in outputs)
    for output in elsewhere:
        output[hidden] += 7
    assert float(losses_of(elsewhere, targets, WEIGHT)) == float(loss.detach())


def test_a_batch_without_labelled_keypoints_costs_nothing():
    outputs = tuple(output.requires_grad_() for output in three_outputs(10))
    loss = losses_of(outputs, three_outputs(0), torch.zeros(2, 3))
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(float(output.grad.abs().max()) == 0 for output in outputs)
