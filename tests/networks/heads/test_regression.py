"""Regression heads and their losses: plain loops, closed forms, and MMPose's own `RLELoss`."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from outside_files import NO_PEER, peer_python, peer_script
from torch import Tensor

from posebench.errors import SpecError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import HeatmapCodec, RegressionCodec
from posebench.networks.heads import (
    LOSS_MODULE,
    LossSettings,
    add_learned_loss,
    recognise_head,
    training_loss,
)
from posebench.networks.heads.regression import smooth_l1
from posebench.networks.heads.rle import RealNVP, ResidualLikelihood, residual_likelihood
from posebench.networks.model import PoseModel, build_model
from posebench.networks.policies import apply_policy
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

BACKBONE = BackboneSpec("resnet", {"depth": 18, "base_channels": 4, "out_stage": 3})
SIZE = InputSize(64, 48)
WEIGHT = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])


def small_model(kind: str) -> PoseModel:
    model = build_model(ModelSpec(BACKBONE, HeadSpec(kind), RegressionCodec(), SIZE))
    add_learned_loss(model.spec.head, model.head)
    initialise(model, 0)
    return model.eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def stirred(module: torch.nn.Module) -> torch.nn.Module:
    """Give a flow weights that bend the plane, as training does."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return module


@pytest.mark.parametrize(("kind", "values"), [("regression", 2), ("rle", 4)])
def test_answers_are_those_of_the_mean_feature_at_any_size(kind: str, values: int) -> None:
    model = small_model(kind)
    layer: Any = model.head.fc
    for size in (SIZE, InputSize(96, 80)):
        crops = noise(2, 3, size.height, size.width)
        with torch.no_grad():
            (found,) = apply_policy(model, size, "native")(crops)
            mean = model.backbone(crops).double().mean(dim=(2, 3))
            expected = mean @ layer.weight.double().T + layer.bias.double()
        assert found.shape == (2, 17, values)
        torch.testing.assert_close(found.flatten(1).double(), expected, rtol=1e-4, atol=1e-6)


def test_kinds_are_told_by_the_flow_or_by_the_number_of_outputs() -> None:
    def kind(rows: int, *more: str) -> str | None:
        shapes = {"fc.weight": (rows, 64), **dict.fromkeys(more, (1,))}
        found = recognise_head(shapes)
        return None if found is None else found.kind

    flow = "loss_module.flow_model.mask"
    assert (kind(34), kind(68), kind(28), kind(532)) == ("regression", "rle", "regression", "rle")
    assert (kind(80), kind(80, flow), kind(33)) == ("regression", "rle", None)


def test_a_head_that_takes_other_codecs_is_refused() -> None:
    with pytest.raises(SpecError, match="regression head cannot be decoded by heatmap"):
        build_model(ModelSpec(BACKBONE, HeadSpec("regression"), HeatmapCodec(), SIZE))


def test_the_flow_is_there_for_training_alone() -> None:
    trained = small_model("rle")
    plain = build_model(trained.spec)
    left = {name for name in trained.state_dict() if name not in plain.state_dict()}
    assert left and all(name.startswith(f"head.{LOSS_MODULE}.flow_model.") for name in left)
    assert isinstance(training_loss(trained.spec.head, trained.head), ResidualLikelihood)
    assert training_loss(plain.spec.head, plain.head) is residual_likelihood
    add_learned_loss(HeadSpec("regression"), plain.head)
    assert training_loss(HeadSpec("regression"), plain.head) is smooth_l1


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_the_l1_loss_is_that_of_a_plain_loop(beta: float) -> None:
    output, target = noise(2, 3, 2), noise(2, 3, 2, seed=1)
    total, count = 0.0, 0
    for n, k in WEIGHT.nonzero().tolist():
        count += 1
        for axis in (0, 1):
            distance = abs(float(output[n, k, axis] - target[n, k, axis]))
            total += distance**2 / (2 * beta) if distance < beta else distance - beta / 2
    loss = smooth_l1((output,), (target,), WEIGHT, LossSettings(smooth_l1_beta=beta))
    assert float(loss) == pytest.approx(total / count, rel=1e-6)


def test_likelihood_without_a_flow_is_that_of_a_plain_loop() -> None:
    output, target = noise(2, 3, 4), noise(2, 3, 2, seed=1)
    total, count = 0.0, 0
    for n, k in WEIGHT.nonzero().tolist():
        count += 1
        errors = []
        for axis in (0, 1):
            deviation = 1 / (1 + math.exp(-float(output[n, k, 2 + axis])))
            errors.append(float(output[n, k, axis] - target[n, k, axis]) / deviation)
            laplace = math.exp(-abs(errors[-1])) / (2 * deviation)
            total -= math.log(laplace) - math.log(deviation)
        normal = math.exp(-0.5 * (errors[0] ** 2 + errors[1] ** 2)) / (2 * math.pi)
        total -= 2 * math.log(normal)
    loss = residual_likelihood((output,), (target,), WEIGHT, LossSettings())
    assert float(loss) == pytest.approx(total / count, rel=1e-5)


def test_a_flow_of_no_weights_is_the_normal_density() -> None:
    learned = ResidualLikelihood()
    with torch.no_grad():
        for parameter in learned.parameters():
            parameter.zero_()
    batch = ((noise(2, 3, 4),), (noise(2, 3, 2, seed=1),), WEIGHT, LossSettings())
    assert float(learned(*batch).detach()) == pytest.approx(
        float(residual_likelihood(*batch)), rel=1e-6
    )


def test_a_bent_flow_is_still_a_density() -> None:
    flow = stirred(RealNVP()).double()
    places = torch.linspace(-14, 14, 281, dtype=torch.float64)
    grid = torch.cartesian_prod(places, places)
    with torch.no_grad():
        mass = float(flow(grid).exp().sum()) * float(places[1] - places[0]) ** 2
        plain = -0.5 * grid.square().sum(-1) - math.log(2 * math.pi)
        assert float((flow(grid) - plain).abs().max()) > 0.1
    assert mass == pytest.approx(1, abs=1e-3)


def test_a_flow_begins_near_the_normal_density() -> None:
    flow: Any = small_model("rle").head.get_submodule(f"{LOSS_MODULE}.flow_model")
    points = noise(50, 2)
    with torch.no_grad():
        expected = -0.5 * points.square().sum(-1) - math.log(2 * math.pi)
        torch.testing.assert_close(flow(points), expected, rtol=1e-3, atol=1e-3)
    assert all(bool(p.detach().any()) for p in flow.parameters() if p.ndim == 2)


def test_keypoints_of_weight_0_do_not_count() -> None:
    for loss in (stirred(ResidualLikelihood()), residual_likelihood, smooth_l1):
        output, target = noise(2, 3, 4).requires_grad_(), noise(2, 3, 2, seed=1)
        value = loss((output,), (target,), WEIGHT, LossSettings())
        value.backward()
        assert output.grad is not None
        assert float(output.grad[WEIGHT == 0].abs().max()) == 0
        assert float(output.grad[WEIGHT > 0].abs().max()) > 0
        nothing = loss((output,), (target,), torch.zeros_like(WEIGHT), LossSettings())
        assert float(nothing.detach()) == 0


_REFERENCE = """
import os, sys, numpy as np, torch
script, source, result = sys.argv[1:]
sys.path.insert(0, os.path.dirname(script))
import mmpose_peer
from mmpose.models.losses.regression_loss import RLELoss, SmoothL1Loss
with np.load(source) as stored:
    arrays = {name: torch.from_numpy(stored[name]) for name in stored.files}
weights = {name[5:]: arrays.pop(name) for name in list(arrays) if name.startswith("flow.")}
output, target, weight = arrays["output"], arrays["target"], arrays["weight"][..., None]
likelihood = RLELoss(use_target_weight=True)
likelihood.flow_model.load_state_dict(weights)
output.requires_grad_()
found = likelihood(output[..., :2], output[..., 2:], target, weight)
found.backward()
l1 = SmoothL1Loss(use_target_weight=True)(output.detach()[..., :2], target, weight)
np.savez(result, likelihood=found.detach().numpy(), gradient=output.grad.numpy(), l1=l1.numpy())
"""


def test_losses_are_those_of_mmpose(tmp_path: Path) -> None:
    """MMPose divides by instances (RLE) or by all values (L1), not by labelled keypoints."""
    python, script = peer_python(), peer_script()
    if python is None or script is None:
        pytest.skip(NO_PEER)
    learned = ResidualLikelihood()
    stirred(learned)
    output, target = noise(2, 3, 4).requires_grad_(), noise(2, 3, 2, seed=1)
    flow = {f"flow.{name}": value for name, value in learned.flow_model.state_dict().items()}
    named = {"output": output.detach(), "target": target, "weight": WEIGHT, **flow}
    source, result = tmp_path / "batch.npz", tmp_path / "found.npz"
    arrays: dict[str, Any] = {name: value.numpy() for name, value in named.items()}
    np.savez(source, **arrays)
    command = [str(python), "-c", _REFERENCE, str(script), str(source), str(result)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    labelled = float(WEIGHT.sum())
    loss = learned((output,), (target,), WEIGHT, LossSettings())
    loss.backward()
    l1 = smooth_l1((output.detach(),), (target,), WEIGHT, LossSettings(smooth_l1_beta=1.0))
    with np.load(result) as found:
        assert float(loss.detach()) * labelled / len(WEIGHT) == pytest.approx(
            float(found["likelihood"]), rel=1e-5
        )
        assert output.grad is not None
        gradient = output.grad.numpy() * labelled / len(WEIGHT)
        np.testing.assert_allclose(gradient, found["gradient"], rtol=1e-4, atol=1e-5)
        assert float(l1) * labelled / target.numel() == pytest.approx(float(found["l1"]), rel=1e-6)
