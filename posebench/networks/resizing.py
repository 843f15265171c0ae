"""Models at another input size: their size-locked weights or their maps are resampled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from posebench.errors import UnsupportedSizeError
from posebench.networks.grids import Binned, Grid, SizeLockedLayer, bins_at, grid_at
from posebench.networks.heads import (
    SizeLockedHead,
    build_head,
    head_family,
    map_grid,
    size_locked_layers,
)
from posebench.networks.model import PoseModel
from posebench.networks.resampling import cell_center, resample_cells, resample_matrix
from posebench.networks.sizes import InputSize


class PooledHead(nn.Module):
    """A head whose maps are resampled to the trained grids before its first locked layers.

    `matrices` holds, for each map, one matrix for rows and one for columns.
    """

    def __init__(self, head: Any, matrices: list[tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.head: SizeLockedHead = head
        self._maps = len(matrices)
        for index, (rows, columns) in enumerate(matrices):
            self.register_buffer(f"rows{index}", rows, persistent=False)
            self.register_buffer(f"columns{index}", columns, persistent=False)

    def forward(self, features: Any) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)` in the bins of the trained size."""
        pooled = [
            self.get_buffer(f"rows{index}").to(maps.dtype)
            @ maps
            @ self.get_buffer(f"columns{index}").to(maps.dtype).T
            for index, maps in enumerate(self.head.maps(features))
        ]
        return self.head.vectors(*pooled)


def pool_model(model: PoseModel, size: InputSize) -> PoseModel:
    """Return a model that runs at `size` by resampling its maps; it shares the weights of `model`.

    A head that locks only its bins runs unchanged.
    """
    scales = dict.fromkeys(layer.cells for layer in _locked(model) if layer.cells)
    if not scales:
        return model
    trained = model.spec.input_size
    old, new = (map_grid(model.spec.head, model.stride, s) for s in (trained, size))
    device = next(model.head.parameters()).device
    down, right = size.height / trained.height, size.width / trained.width
    matrices = []
    for scale in scales:
        center = cell_center(model.stride // scale)
        rows = resample_matrix(new.height * scale, old.height * scale, down, center)
        columns = resample_matrix(new.width * scale, old.width * scale, right, center)
        matrices.append((rows.to(device), columns.to(device)))
    return _with_head(model, PooledHead(model.head, matrices))


def interpolate_model(model: PoseModel, size: InputSize) -> PoseModel:
    """Return a copy of `model` with size-locked weights resampled to `size`; others are shared.

    Columns over cells are multiplied by old over new number of cells, so that the sum over the grid
    keeps its magnitude. At the trained size every weight stays the same, bit for bit.
    """
    layers, head = _locked(model), model.head
    state = head.state_dict()
    resampler = _WeightResampler(model, size)
    for layer in layers:
        for name in (f"{layer.name}.weight", f"{layer.name}.bias"):
            if name in state:
                state[name] = resampler.resample(layer, state[name])
    with torch.device("meta"):
        resized = build_head(
            replace(model.spec, input_size=size), model.backbone.out_channels, model.stride
        )
    locked = {layer.name.partition(".")[0] for layer in layers}
    for name, child in head.named_children():
        if name in locked:
            own = {key.removeprefix(f"{name}."): state[key] for key in state if _below(key, name)}
            resized.get_submodule(name).load_state_dict(own, assign=True)
        else:
            # Shared unchanged: BatchNorm may have been folded into it.
            setattr(resized, name, child)
    return _with_head(model, resized.train(head.training))


def fix_size(model: PoseModel, size: InputSize) -> PoseModel:
    """Return a model for inputs of `size` alone, with the weights that its head makes for it.

    A model whose head makes none is returned as it is.
    """
    fix = head_family(model.spec.head.kind).fix
    if fix is None:
        return model
    head = fix(model.head, grid_at(size, model.stride))
    return _with_head(model, head.train(model.head.training))


def _below(key: str, module: str) -> bool:
    return key.startswith(f"{module}.")


class _WeightResampler:
    """The matrices from a model's trained size to another, applied to its size-locked weights."""

    def __init__(self, model: PoseModel, size: InputSize) -> None:
        spec, trained = model.spec, model.spec.input_size
        self.old: Grid = map_grid(spec.head, model.stride, trained)
        self.new: Grid = map_grid(spec.head, model.stride, size)
        self.step = down, right = trained.height / size.height, trained.width / size.width
        self.stride = model.stride
        self.bins: dict[str, Tensor] = {}
        if isinstance(spec.codec, Binned) and spec.codec.bins_follow_size:
            old_bins, new_bins = (bins_at(spec.codec, each) for each in (trained, size))
            self.bins["x"] = resample_matrix(old_bins.x, new_bins.x, right)
            self.bins["y"] = resample_matrix(old_bins.y, new_bins.y, down)

    def resample(self, layer: SizeLockedLayer, parameter: Tensor) -> Tensor:
        """Return a weight (outputs, inputs) or bias (outputs,) of `layer` for the new size."""
        result = parameter.detach().float().cpu()
        if layer.bins in self.bins:
            result = self.bins[layer.bins] @ result
        if layer.cells and parameter.ndim == 2:
            scale, (down, right) = layer.cells, self.step
            center = cell_center(self.stride // scale)
            old, new = self.old, self.new
            rows = resample_matrix(old.height * scale, new.height * scale, down, center)
            columns = resample_matrix(old.width * scale, new.width * scale, right, center)
            result = resample_cells(result, rows, columns)
        return result.to(parameter)


def _with_head(model: PoseModel, head: nn.Module) -> PoseModel:
    """Return a model with the same backbone and mode but another head."""
    result = PoseModel(model.spec, model.backbone, head, model.neck)
    result.training = model.training
    return result


def _locked(model: PoseModel) -> tuple[SizeLockedLayer, ...]:
    """Return the size-locked layers.

    Raises `UnsupportedSizeError` if there are none.
    """
    layers = size_locked_layers(model.spec.head)
    if not layers:
        raise UnsupportedSizeError(
            f"A {model.spec.head.kind} head has no size-locked layer to resample.",
            hint="Use the policy native.",
        )
    return layers
