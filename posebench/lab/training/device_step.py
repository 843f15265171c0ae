"""The step on a GPU: scenes stay there, crops are cut there, and all of it is one CUDA graph.

A step of a small network is hundreds of kernels that take microseconds each, so that starting them
one by one would take most of the time. The plan's arrays and the targets alone are copied in
between. On a CPU the same code runs without a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from posebench.lab.training.learning import Learner
from posebench.lab.training.plans import BatchPlan
from posebench.lab.training.scenes import SceneStore
from posebench.lab.training.steps import Shapes, Step, encoded
from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec
from posebench.prediction.device_crops import MARGIN, sample_places, sampled_crops
from posebench.prediction.devices import beside
from posebench.suites.recipe import Recipe

# Steps of a size before it is recorded: libraries choose and prepare their kernels in them.
WARM_UP = 3


class DeviceScenes:
    """A scene store on a device, with the margins that sampling needs."""

    def __init__(self, store: SceneStore, crop: CropSpec, device: torch.device) -> None:
        shapes = store.shapes + 2 * MARGIN
        counts = shapes.prod(axis=1)
        self._firsts = np.cumsum(counts) - counts
        self._store = store
        self._pixels = torch.empty((int(counts.sum()), 3), dtype=torch.uint8, device=device)
        for scene, first in enumerate(self._firsts):
            image = torch.from_numpy(np.array(store.scene_image(scene))).to(device)
            padded = functional.pad(image, (0, 0, MARGIN, MARGIN, MARGIN, MARGIN))
            self._pixels[first : first + counts[scene]] = padded.flatten(0, 1)
        self._reversed = crop.channels == "rgb"
        self._mean, self._std = (
            torch.tensor(values, dtype=torch.float32, device=device)
            for values in (crop.mean, crop.std)
        )

    def arrays(self, plan: BatchPlan) -> tuple[NDArray[Any], ...]:
        """Return what `cut` needs of a plan: layout, places, gain and offset of each crop."""
        scenes = self._store.scene[plan.persons]
        height, width = self._store.shapes[scenes].T
        layout = np.stack([self._firsts[scenes], width + 2 * MARGIN, width, height], axis=1)
        places = sample_places(plan.matrices, plan.size)
        light = (each.astype(np.float32)[:, None, None, :] for each in (plan.gain, plan.offset))
        return layout, places, *light

    def cut(self, arrays: tuple[Tensor, ...], size: InputSize) -> Tensor:
        """Return network inputs (N, 3, H, W) float32, channels last in memory."""
        layout, places, gain, offset = arrays
        values = sampled_crops(self._pixels, layout, places, size).float()
        values = (values * gain + (offset + 0.5)).clamp(0, 255).floor()
        if self._reversed:
            values = values.flip(-1)
        return ((values - self._mean) / self._std).permute(0, 3, 1, 2)


class DeviceStep:
    """Learns from planned batches; on a GPU, each size is recorded once and then replayed."""

    def __init__(
        self, recipe: Recipe, scenes: DeviceScenes, learner: Learner, shapes: Shapes
    ) -> None:
        self._recipe = recipe
        self._scenes = scenes
        self._learner = learner
        self._shapes = shapes
        self._recorded: dict[InputSize, _Recorded] = {}

    def __call__(self, plan: BatchPlan) -> Tensor:
        """Take one step; return the loss, a number on the device."""
        arrays = (*self._scenes.arrays(plan), *encoded(self._recipe, plan, self._shapes))
        self._learner.prepare()
        recorded = self._recorded.get(plan.size)
        if recorded is None:
            recorded = self._recorded[plan.size] = _Recorded(arrays, self._learner.device)
        recorded.fill(arrays)
        return recorded.run(lambda inputs: self._step(inputs, plan.size))

    def _step(self, arrays: tuple[Tensor, ...], size: InputSize) -> Tensor:
        *targets, weight = arrays[4:]
        return self._learner.learn(self._scenes.cut(arrays[:4], size), tuple(targets), weight)


def device_step(recipe: Recipe, store: SceneStore, learner: Learner, shapes: Shapes) -> Step:
    """Return the step that cuts crops and learns on the learner's device."""
    # The same seed gives the same weights on one machine.
    torch.backends.cudnn.deterministic = True
    scenes = DeviceScenes(store, recipe.model.crop, learner.device)
    return DeviceStep(recipe, scenes, learner, shapes)


class _Recorded:
    """The arrays of one size on the device, and the graph that was recorded on them."""

    def __init__(self, arrays: tuple[NDArray[Any], ...], device: torch.device) -> None:
        self._inputs = tuple(torch.from_numpy(array).to(device, copy=True) for array in arrays)
        self._device = device
        self._graph: torch.cuda.CUDAGraph | None = None
        # One for warming up and recording, on this GPU: torch's own belongs to the GPU that
        # recorded first, and memory that was used on one stream does not serve another.
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._loss = torch.zeros((), device=device)
        self._done = 0

    def fill(self, arrays: tuple[NDArray[Any], ...]) -> None:
        """Copy arrays to where the graph reads them."""
        for place, array in zip(self._inputs, arrays, strict=True):
            host = torch.from_numpy(array)
            on_gpu = self._device.type == "cuda"
            place.copy_(host.pin_memory() if on_gpu else host, non_blocking=on_gpu)

    def run(self, step: Callable[[tuple[Tensor, ...]], Tensor]) -> Tensor:
        """Take the step, by its graph if there is one; return a copy of the loss."""
        if self._stream is None:
            return step(self._inputs)
        if self._graph is None and self._done < WARM_UP:
            self._done += 1
            with beside(self._stream):
                loss = step(self._inputs)
            return loss.clone()
        if self._graph is None:
            graph = torch.cuda.CUDAGraph()
            # Other threads may go on meanwhile.
            recording = torch.cuda.graph(
                graph, stream=self._stream, capture_error_mode="thread_local"
            )
            with beside(self._stream), recording:
                self._loss = step(self._inputs)
            self._graph = graph
        self._graph.replay()
        return self._loss.clone()
