"""What an engine of torch may change of a network, and what it may not."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from filled_weights import seeded_crop
from numpy.typing import NDArray
from small_run import SIZE, small_model
from torch import Tensor

from posebench.checkpoints import load_checkpoint
from posebench.datasets.synthetic import render_scene
from posebench.errors import UnsupportedExecutionError
from posebench.networks.model import PoseModel
from posebench.networks.policies import CellNetwork, apply_policy
from posebench.networks.sizes import InputSize
from posebench.networks.spec import ModelSpec
from posebench.prediction.crops import crop_image, normalise
from posebench.prediction.engines import check_execution, execute, optimise, torch_engine
from posebench.prediction.engines.probing import trial_crops
from posebench.prediction.engines.torch_engine import TOLERANCE, is_optimised, optimised
from posebench.prediction.execution import Execution, Parallelism
from posebench.prediction.flip import predict_outputs
from posebench.prediction.geometry import boxes_to_center_scale
from posebench.zoo import resolve

OTHER = InputSize(96, 80)


def cell_of(model: PoseModel, execution: Execution, *place: object) -> CellNetwork:
    size, policy = place or (SIZE, "native")
    network = apply_policy(optimise(model, execution), size, policy)  # type: ignore[arg-type]
    return execute(network, execution, Parallelism(), not_asked_for)


def not_asked_for() -> NDArray[np.float32]:
    raise AssertionError("calibration is for int8")


def answers(cell: CellNetwork, size: InputSize = SIZE) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        crops = seeded_crop(size.height, size.width)
        return predict_outputs(cell, crops, flip_test=True, apart=cell.flips_apart)


def gap(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    pairs = zip(found, expected, strict=True)
    return max(float((one - two).abs().max() / two.abs().max()) for one, two in pairs)


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
def test_the_default_moves_nothing_and_eager_not_a_bit(paradigm: str) -> None:
    model = small_model(paradigm)
    with torch.inference_mode():
        published = predict_outputs(model, seeded_crop(64, 48), flip_test=True, apart=True)
    eager = cell_of(model, Execution("eager"))
    assert eager.flips_apart
    assert all(torch.equal(a, b) for a, b in zip(answers(eager), published, strict=True))
    fast = cell_of(model, Execution())
    assert not fast.flips_apart
    assert gap(answers(fast), published) < 1e-5


@pytest.mark.parametrize("policy", ["interpolate", "pool", "resample"])
def test_resizing_an_optimised_network_is_optimising_a_resized_one(policy: str) -> None:
    model = small_model("simcc")
    size = SIZE if policy == "resample" else OTHER
    expected = answers(cell_of(model, Execution("eager"), OTHER, policy), size)
    assert gap(answers(cell_of(model, Execution(), OTHER, policy), size), expected) < 1e-5


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_rounds_everything_but_the_outputs(paradigm: str, precision: str) -> None:
    model = small_model(paradigm)
    expected = answers(cell_of(model, Execution("eager")))
    found = answers(cell_of(model, Execution("torch", precision)))  # type: ignore[arg-type]
    assert all(output.dtype == torch.float32 for output in found)
    # Outputs that were rounded themselves would be equal to their own rounding.
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    assert not any(torch.equal(output.to(dtype).float(), output) for output in found)
    assert 1e-6 < gap(found, expected) < 0.1


def test_an_ill_conditioned_network_stays_as_published() -> None:
    model = small_model("heatmap")
    layer = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert layer.running_mean is not None
    # A mean far from 0 is subtracted from a number nearly as large: what is left is rounding.
    layer.running_mean += 1e7
    layer.bias.data += 1e7 / (1 + layer.eps) ** 0.5
    result = optimised(model, Execution("torch"))
    assert is_optimised(optimised(small_model("heatmap"), Execution("torch")))
    assert not is_optimised(result)
    crops = seeded_crop(64, 48)
    with torch.inference_mode():
        assert torch.equal(result(crops)[0], model(crops)[0])
    assert TOLERANCE == 1e-4  # what README says


@pytest.mark.parametrize("kind", range(4))
def test_one_kind_of_crop_is_enough_to_stay_as_published(
    kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, moving = small_model("heatmap"), trial_crops(SIZE)[kind : kind + 1]

    def moved(_: object, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> object:
        here = (inputs[0] == moving).flatten(1).all(1)[:, None, None, None]
        return tuple(output + 1e-3 * output.abs().max() * here for output in outputs)

    def folded(network: PoseModel) -> PoseModel:
        result = copy.deepcopy(network)
        result.register_forward_hook(moved)
        return result

    monkeypatch.setattr(torch_engine, "folded", folded)
    assert not is_optimised(optimised(model, Execution("torch")))


def test_the_crops_of_the_run_are_tried_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model, crops = small_model("heatmap"), seeded_crop(64, 48)

    def moved(_: object, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> object:
        return outputs if len(inputs[0]) > 1 else tuple(output * 1.001 for output in outputs)

    def folded(network: PoseModel) -> PoseModel:
        result = copy.deepcopy(network)
        result.register_forward_hook(moved)
        return result

    monkeypatch.setattr(torch_engine, "folded", folded)
    assert is_optimised(optimised(model, Execution("torch")))
    assert not is_optimised(optimised(model, Execution("torch"), crops[:1]))


def people(spec: ModelSpec) -> Tensor:
    """Return normalised crops of rendered people, as those of a run are."""
    crops = []
    for index in range(3):
        scene = render_scene(0, index, "standard")
        for person in scene.persons:
            x, y, width, height = person.bbox_xywh
            box = np.array([[x, y, x + width, y + height]], np.float32)
            (center,), (scale,) = boxes_to_center_scale(box, spec.input_size, spec.crop.padding)
            crops.append(crop_image(scene.image, center, scale, spec.input_size, spec.crop.udp))
    return torch.from_numpy(normalise(np.stack(crops), spec.crop))


@pytest.mark.parametrize("name", ["heatmap-s", "simcc-s"])
def test_keypoints_of_trained_networks_move_by_next_to_nothing(name: str) -> None:
    model = load_checkpoint(resolve(name)).network
    assert isinstance(model, PoseModel)
    spec = model.spec
    crops = people(spec)
    with torch.inference_mode():
        published, fast = model(crops), optimised(model, Execution("torch"))(crops)
    one, other = (
        spec.codec.decode(tuple(o.numpy() for o in outputs), spec.input_size).keypoints
        for outputs in (published, fast)
    )
    assert np.abs(one - other).max() <= 4e-4


def test_what_an_engine_cannot_do_is_known_before_it_runs() -> None:
    model = small_model("heatmap")
    with pytest.raises(UnsupportedExecutionError, match=r"eager does not run .* in bf16"):
        check_execution(model, Execution("eager", "bf16"))
    with pytest.raises(UnsupportedExecutionError, match="cuda:9"):
        check_execution(model, Execution(device="cuda:9"))
    check_execution(model, Execution("torch", "bf16"))
