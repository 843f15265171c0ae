from __future__ import annotations

import math

import pytest
import torch

from posebench.errors import SpecError
from posebench.networks.heads import LossSettings
from posebench.networks.heads.losses import divergence_of_bins, squared_error

WEIGHT = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
BETA = 10.0
SETTINGS = LossSettings(beta=BETA)


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


def cross_entropy(output, wanted, factor=1.0):
    """Return the mean over labelled keypoints of -sum q log p, in float64."""
    terms = -(wanted.double() * torch.log_softmax(output.double() * factor, dim=-1)).sum(-1)
    return float((terms * WEIGHT).sum() / WEIGHT.sum())


def gaussians(bins: int, sigma: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Return targets (2, 3, bins) around bins, and these."""
    centres = torch.tensor([[1, 4, 2], [0, 3, bins - 1]])
    distance = torch.arange(bins) - centres[..., None]
    return torch.exp(-(distance**2) / (2 * sigma**2)), centres


def test_one_hot_targets_make_the_cross_entropy_of_the_nearest_bin():
    output, (target, centres) = noise(2, 3, 7), gaussians(7)
    settings = LossSettings(targets="one-hot", beta=2.0)
    loss = divergence_of_bins((output,), (target,), WEIGHT, settings)
    labels = torch.where(WEIGHT > 0, centres, -100)
    expected = torch.nn.functional.cross_entropy((2 * output).flatten(0, 1), labels.flatten())
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def test_smoothing_is_that_of_torch_up_to_the_entropy_of_the_targets():
    output, (target, centres) = noise(2, 3, 7), gaussians(7)
    settings = LossSettings(targets="one-hot", beta=1.0, smoothing=0.1)
    loss = divergence_of_bins((output,), (target,), WEIGHT, settings)
    labels = torch.where(WEIGHT > 0, centres, -100)
    expected = torch.nn.functional.cross_entropy(
        output.flatten(0, 1), labels.flatten(), label_smoothing=0.1
    )
    high, low = 0.9 + 0.1 / 7, 0.1 / 7
    entropy = -high * math.log(high) - 6 * low * math.log(low)
    assert float(loss) == pytest.approx(float(expected) - entropy, rel=1e-5)


def test_gaussian_targets_are_distributions_themselves():
    output, (target, _) = noise(2, 3, 9), gaussians(9)
    loss = divergence_of_bins((output,), (target,), WEIGHT, LossSettings(targets="gaussian"))
    wanted = target.double() / target.double().sum(-1, keepdim=True)
    entropy = cross_entropy(wanted.log(), wanted)
    assert float(loss) == pytest.approx(cross_entropy(output, wanted, BETA) - entropy, rel=1e-5)


def test_a_focal_loss_is_that_of_its_paper():
    output, (target, centres) = noise(2, 3, 7), gaussians(7)
    settings = LossSettings(targets="one-hot", beta=1.0, focal=2.0)
    loss = divergence_of_bins((output,), (target,), WEIGHT, settings)
    chosen = torch.softmax(output.double(), -1).gather(-1, centres[..., None])[..., 0]
    terms = -((1 - chosen) ** 2) * chosen.log()
    assert float(loss) == pytest.approx(float((terms * WEIGHT).sum() / WEIGHT.sum()), rel=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        LossSettings(targets="one-hot"),
        LossSettings(targets="one-hot", focal=2.0),
        LossSettings(targets="gaussian", smoothing=0.1),
    ],
)
def test_every_loss_falls_under_training_and_spares_keypoints_of_weight_0(settings):
    target, _ = gaussians(7)
    target = target * (WEIGHT > 0)[..., None]
    output = noise(2, 3, 7).requires_grad_()
    loss = divergence_of_bins((output,), (target,), WEIGHT, settings)
    loss.backward()
    assert float(output.grad[WEIGHT == 0].abs().max()) == 0
    assert float(output.grad[WEIGHT > 0].abs().max()) > 0
    with torch.no_grad():
        stepped = output - 0.01 * output.grad
    after = divergence_of_bins((stepped,), (target,), WEIGHT, settings)
    assert float(after) < float(loss.detach())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beta": 0.0}, "beta must be above 0"),
        ({"smoothing": 1.0}, "smoothing must be"),
        ({"focal": 0.5}, "focal must be 0 or at least 1"),
        ({"focal": 2.0}, "needs `targets: one-hot`"),
        ({"focal": 2.0, "targets": "one-hot", "smoothing": 0.1}, "without smoothing"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(SpecError, match=said):
        LossSettings(**settings)
