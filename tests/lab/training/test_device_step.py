"""The step for GPUs, run on the CPU without a graph, agrees with the step for CPUs."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_gpus import FakeGpus
from tiny_runs import rendered_store, run, tiny_recipe

from posebench.lab.training import loop
from posebench.lab.training.batches import cut_batch
from posebench.lab.training.device_step import WARM_UP, DeviceScenes, _Recorded, device_step
from posebench.lab.training.learning import Learner
from posebench.lab.training.plans import batch_plans
from posebench.lab.training.state import new_state
from posebench.lab.training.steps import host_step, output_shapes
from posebench.networks.model import PoseModel
from posebench.networks.spec import CropSpec
from posebench.prediction.devices import allowing_tf32

GPU = pytest.param("cuda", marks=pytest.mark.gpu)


@pytest.fixture(scope="module")
def store():
    return rendered_store(3)


def losses_of(make, recipe, store, device="cpu"):
    state = new_state(recipe, torch.device(device))
    step = make(recipe, store, Learner(recipe, state, None), output_shapes(recipe, state.model))
    losses = []
    for plan in batch_plans(store, recipe, 0):
        losses.append(float(step(plan)))
        state.step += 1
    return losses, state.average.cpu().state_dict()


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("crop", [CropSpec(), CropSpec(udp=True, channels="bgr")])
def test_crops_are_those_of_the_cpu(store, crop, device):
    recipe = tiny_recipe("simcc", 3)
    recipe = replace(recipe, model=replace(recipe.model, crop=crop))
    scenes = DeviceScenes(store, crop, torch.device(device))
    for plan in batch_plans(store, recipe, 0):
        expected = cut_batch(store, plan, crop)
        arrays = tuple(torch.from_numpy(each).to(device) for each in scenes.arrays(plan))
        found = scenes.cut(arrays, plan.size).cpu()
        assert found.is_contiguous(memory_format=torch.channels_last)
        # Light in float32 rounds to another whole value now and then.
        off = (found - expected).abs() * torch.tensor(crop.std)[:, None, None]
        assert off.max() <= 1.01
        assert (off > 0.01).float().mean() < 1e-4


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc"])
@pytest.mark.parametrize("device", ["cpu", GPU])
def test_steps_learn_the_same(store, paradigm, device):
    sizes = (1.0, 0.5, 1.5) if paradigm == "heatmap" else (1.0,)
    recipe = tiny_recipe(paradigm, 8)
    input_size = replace(recipe.model.input_size, width=64)
    recipe = replace(recipe, model=replace(recipe.model, input_size=input_size), train_sizes=sizes)
    expected, weights = losses_of(host_step, recipe, store)
    found, others = losses_of(device_step, recipe, store, device)
    np.testing.assert_allclose(found, expected, rtol=0.01 if device == "cpu" else 0.05)
    for name, value in weights.items():
        assert float((others[name] - value).abs().max()) < 0.05 * float(value.abs().max() + 1), name


@pytest.mark.parametrize("fails", [False, True])
def test_a_graph_is_recorded_on_the_gpu_of_its_training(monkeypatch, fails):
    gpus, ran_on = FakeGpus(monkeypatch), []
    gpus.fails, streams = fails, dict(gpus.streams)
    second = torch.device("cuda:1")
    recorded = _Recorded((np.zeros(2, np.float32),), torch.device("cpu"))
    recorded._device, recorded._stream = second, torch.cuda.Stream(second)

    def step(inputs):
        ran_on.append((gpus.streams[second], gpus.recording))
        return inputs[0].sum()

    for _ in range(WARM_UP):
        recorded.run(step)
    for _ in range(2):
        with pytest.raises(RuntimeError) if fails else nullcontext():
            recorded.run(step)
    # What could not be recorded is no graph, and is tried again.
    assert gpus.recordings == [(second, recorded._stream)] * (1 + fails)
    assert gpus.error_modes == {"thread_local"}
    # What was warmed up on a stream is recorded on it, so that its memory serves again.
    stream = recorded._stream
    assert ran_on == [(stream, None)] * WARM_UP + [(stream, stream)] * (1 + fails)
    assert gpus.replays == (0 if fails else 2)
    assert (gpus.device, gpus.streams) == (torch.device("cuda:0"), streams)


def test_float32_is_float32_in_training(store, monkeypatch, tmp_path):
    forward = PoseModel.forward
    seen: list[str | tuple[bool, bool]] = []

    def noted(*arguments):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return forward(*arguments)

    def evaluate(model):
        seen.append("evaluation")
        model(torch.zeros(1, 3, 64, 48))
        return {"AP": 0.5}

    recipe = replace(tiny_recipe("heatmap", 4), test_sizes=(2.0,))
    monkeypatch.setattr(PoseModel, "forward", noted)
    monkeypatch.setattr(loop, "host_step", device_step)
    with allowing_tf32(True):
        run(monkeypatch, store, recipe, tmp_path, evaluate=evaluate)
        assert torch.backends.cudnn.allow_tf32
    last = len(seen) - seen[::-1].index("evaluation")
    assert len(seen) > last + 1  # one more for the evaluation: BatchNorm's statistics
    assert set(seen) == {"evaluation", (False, False)}


@pytest.mark.parametrize("device", [GPU])
def test_a_gpu_trains_and_goes_on(monkeypatch, store, tmp_path, device):
    recipe = tiny_recipe("heatmap", 12)
    monkeypatch.setattr(loop, "training_scenes", lambda _recipe, _progress: store)
    outcome = loop.train(recipe, tmp_path, lambda _: {"AP": 0.5}, lambda *_: None, device)
    assert outcome.checkpoint.is_file()


def test_the_step_for_gpus_trains_a_whole_run(monkeypatch, store, tmp_path):
    monkeypatch.setattr(loop, "host_step", device_step)
    outcome = run(monkeypatch, store, tiny_recipe("heatmap", 4, 2), tmp_path)
    assert outcome.checkpoint.is_file()
