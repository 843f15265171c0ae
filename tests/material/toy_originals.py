"""Toy-size networks written from the papers, in the names of the original repositories.

ResNet (arXiv:1512.03385) with deconvolutions (SimpleBaseline, 1804.06208), HRNet (1902.09212), and
SimCC's linear layers (2107.03332). A network is a function; the first call makes its weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

BLOCKS = (3, 4, 6, 3)  # ResNet-50
MODULES = (1, 4, 3)  # of HRNet's stages 2, 3 and 4
RESNET_WIDTH = 4
HRNET_WIDTH = 6


class Toy:
    """Layers whose random weights are made, and named, where they are first used."""

    def __init__(self, seed: int = 0) -> None:
        self.state: dict[str, Tensor] = {}
        self.generator = torch.Generator().manual_seed(seed)

    def weight(self, name: str, *shape: int, scale: float = 1.0, offset: float = 0.0) -> Tensor:
        if name not in self.state:
            values = torch.randn(shape, generator=self.generator)
            self.state[name] = values * scale + offset
        return self.state[name]

    def conv(self, name: str, x: Tensor, channels: int, kernel: int, stride: int = 1) -> Tensor:
        scale = math.sqrt(2 / (x.shape[1] * kernel**2))
        weight = self.weight(f"{name}.weight", channels, x.shape[1], kernel, kernel, scale=scale)
        return functional.conv2d(x, weight, stride=stride, padding=kernel // 2)

    def norm(self, name: str, x: Tensor) -> Tensor:
        channels = x.shape[1]
        scale, shift = (self.weight(f"{name}.{part}", channels) for part in ("weight", "bias"))
        mean = self.weight(f"{name}.running_mean", channels, scale=0.1)
        var = self.weight(f"{name}.running_var", channels, scale=0.1, offset=1).abs_()
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(7)
        shape = (1, channels, 1, 1)
        normal = (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()
        return normal * scale.view(shape) + shift.view(shape)

    def linear(self, name: str, x: Tensor, count: int) -> Tensor:
        weight = self.weight(f"{name}.weight", count, x.shape[-1], scale=x.shape[-1] ** -0.5)
        return x @ weight.T + self.weight(f"{name}.bias", count)

    def block(self, name: str, x: Tensor, width: int, stride: int = 1, style: str = "") -> Tensor:
        """One residual block: two 3x3 convolutions, or a bottleneck if there is a `style`."""
        plan = [(width, 3, stride), (width, 3, 1)]
        if style:
            first, second = (stride, 1) if style == "caffe" else (1, stride)
            plan = [(width, 1, first), (width, 3, second), (4 * width, 1, 1)]
        y = x
        for number, (channels, kernel, step) in enumerate(plan, start=1):
            y = self.conv(f"{name}.conv{number}", y, channels, kernel, step)
            y = self.norm(f"{name}.bn{number}", y)
            y = y.relu() if number < len(plan) else y
        if x.shape != y.shape:
            x = self.conv(f"{name}.downsample.0", x, y.shape[1], 1, stride)
            x = self.norm(f"{name}.downsample.1", x)
        return (x + y).relu()

    def step(self, name: str, x: Tensor, channels: int, stride: int) -> Tensor:
        """Conv, norm and ReLU under the names `.0` and `.1`."""
        return self.norm(f"{name}.1", self.conv(f"{name}.0", x, channels, 3, stride)).relu()

    def resnet(self, x: Tensor, style: str = "pytorch") -> Tensor:
        x = self.norm("bn1", self.conv("conv1", x, RESNET_WIDTH, 7, 2)).relu()
        x = functional.max_pool2d(x, 3, 2, 1)
        for stage, count in enumerate(BLOCKS):
            for index in range(count):
                stride = 2 if stage and index == 0 else 1
                name = f"layer{stage + 1}.{index}"
                x = self.block(name, x, RESNET_WIDTH * 2**stage, stride, style)
        return x

    def deconvolved(self, x: Tensor, channels: int = 5) -> Tensor:
        for index in (0, 3, 6):
            scale = math.sqrt(1 / x.shape[1])
            name = f"deconv_layers.{index}.weight"
            weight = self.weight(name, x.shape[1], channels, 4, 4, scale=scale / 2)
            x = functional.conv_transpose2d(x, weight, stride=2, padding=1)
            x = self.norm(f"deconv_layers.{index + 1}", x).relu()
        return x

    def hrnet(self, x: Tensor) -> Tensor:
        x = self.norm("bn1", self.conv("conv1", x, 64, 3, 2)).relu()
        x = self.norm("bn2", self.conv("conv2", x, 64, 3, 2)).relu()
        for index in range(4):
            x = self.block(f"layer1.{index}", x, 64, style="pytorch")
        branches = [
            self.step("transition1.0", x, HRNET_WIDTH, 1),
            self.step("transition1.1.0", x, 2 * HRNET_WIDTH, 2),
        ]
        for stage, count in enumerate(MODULES, start=2):
            if stage > 2:
                name = f"transition{stage - 1}.{stage - 1}.0"
                branches.append(self.step(name, branches[-1], branches[-1].shape[1] * 2, 2))
            for module in range(count):
                last = stage == 4 and module == count - 1
                branches = self.exchanged(f"stage{stage}.{module}", branches, last)
        return branches[0]

    def exchanged(self, name: str, branches: list[Tensor], last: bool) -> list[Tensor]:
        """Four blocks in each branch, then each output the sum of all, resized."""
        parts = list(branches)
        for index in range(len(parts)):
            for block in range(4):
                layer, x = f"{name}.branches.{index}.{block}", parts[index]
                parts[index] = self.block(layer, x, x.shape[1])
        outputs = []
        for target in range(1 if last else len(parts)):
            channels = parts[target].shape[1]
            total = torch.zeros_like(parts[target])
            for source, part in enumerate(parts):
                layer = f"{name}.fuse_layers.{target}.{source}"
                y = part
                if source > target:
                    y = self.norm(f"{layer}.1", self.conv(f"{layer}.0", y, channels, 1))
                    y = y.repeat_interleave(2 ** (source - target), dim=2)
                    y = y.repeat_interleave(2 ** (source - target), dim=3)
                for number in range(target - source):
                    final = number == target - source - 1
                    y = self.conv(f"{layer}.{number}.0", y, channels if final else y.shape[1], 3, 2)
                    y = self.norm(f"{layer}.{number}.1", y)
                    y = y if final else y.relu()
                total = total + y
            outputs.append(total.relu())
        return outputs

    def final(self, x: Tensor, channels: int) -> Tensor:
        bias = self.weight("final_layer.bias", channels).view(1, -1, 1, 1)
        return self.conv("final_layer", x, channels, 1) + bias

    def vectors(self, maps: Tensor, size: tuple[int, int], ratio: float) -> tuple[Tensor, ...]:
        """Bins on x and y for an input of `size` (height, width), of maps (N, 17, ...)."""
        flat = maps.flatten(2)
        names = (("mlp_head_x", size[1]), ("mlp_head_y", size[0]))
        return tuple(self.linear(name, flat, int(side * ratio)) for name, side in names)
