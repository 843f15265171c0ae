"""Cut a planned batch on the CPU."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.lab.training.plans import BatchPlan
from posebench.lab.training.scenes import SceneStore
from posebench.networks.spec import CropSpec

_VALUES = np.arange(256, dtype=np.float64)


def cut_batch(store: SceneStore, plan: BatchPlan, crop: CropSpec) -> Tensor:
    """Return network inputs (N, 3, H, W) float32 of a plan, channels last in memory."""
    height, width = plan.size.height, plan.size.width
    inputs = np.empty((len(plan.persons), height, width, 3), dtype=np.float32)
    tables = _tables(plan, crop)
    for row, person in enumerate(plan.persons):
        image, matrix = store.image(int(person)), plan.matrices[row]
        pixels = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
        if crop.channels == "rgb":
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        cv2.LUT(pixels, tables[row], dst=inputs[row])
    return torch.from_numpy(inputs).permute(0, 3, 1, 2)


def _tables(plan: BatchPlan, crop: CropSpec) -> NDArray[np.float32]:
    """Return (N, 1, 256, 3): what each value of each channel is in the network's input.

    One look-up changes the light, rounds to a whole value, and normalises.
    """
    gain, offset = plan.gain[:, None, None, :], plan.offset[:, None, None, :]
    if crop.channels == "rgb":
        gain, offset = gain[..., ::-1], offset[..., ::-1]
    values = np.floor(np.clip(_VALUES[:, None] * gain + offset + 0.5, 0, 255))
    table = (values.astype(np.float32) - np.array(crop.mean, dtype=np.float32)) / np.array(
        crop.std, dtype=np.float32
    )
    return np.ascontiguousarray(table, dtype=np.float32)
