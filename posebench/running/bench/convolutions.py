"""How fast this machine convolves, for an estimate of the time that a plan takes."""

from __future__ import annotations

import time

import torch


def convolution_speed() -> float:
    """Return giga multiply-accumulates per second of a convolution like those of backbones."""
    batch, channels, side, repeats = 8, 64, 32, 10
    layer, x = (
        torch.nn.Conv2d(channels, channels, 3, padding=1),
        torch.zeros(batch, channels, side, side),
    )
    with torch.inference_mode():
        layer(x)
        start = time.perf_counter()
        for _ in range(repeats):
            layer(x)
    operations = batch * channels * channels * 9 * side * side * repeats
    return operations / (time.perf_counter() - start) / 1e9
