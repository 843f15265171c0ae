"""SimCC heads for any size: against plain SimCC, closed forms and one another at other sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.native import save_checkpoint
from posebench.errors import SpecError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import SimccCodec
from posebench.networks.codecs.uneven_bins import quantile_positions
from posebench.networks.costs import count_gflops
from posebench.networks.grids import Grid
from posebench.networks.heads import HEADS, LossSettings, training_codec
from posebench.networks.heads.losses import divergence_of_bins
from posebench.networks.heads.size_free.layout import (
    Layout,
    bin_codes,
    cell_codes,
    fourier_code,
    without_offset,
)
from posebench.networks.heads.size_free.tables import TableHead
from posebench.networks.model import PoseModel, build_model
from posebench.networks.policies import POLICIES, Policy, apply_policy, canonical_policy, check_size
from posebench.networks.resizing import interpolate_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

BACKBONE = BackboneSpec("resnet", {"depth": 18, "base_channels": 4, "out_stage": 3})
SIZE = InputSize(64, 48)
SIZES = (InputSize(32, 48), InputSize(64, 64), InputSize(96, 80), InputSize(128, 96))
COORDINATES = np.random.default_rng(0).beta(2, 5, (99, 2)) * 47
SIZE_FREE = ("simcc-table", "simcc-coordinates", "simcc-marginal", "simcc-pooling")
each_kind = pytest.mark.parametrize("kind", SIZE_FREE)


def small_model(kind: str, codec: SimccCodec | None = None, size: InputSize = SIZE) -> PoseModel:
    model = build_model(ModelSpec(BACKBONE, HeadSpec(kind), codec or SimccCodec(), size))
    initialise(model, 0)
    return model.eval()


def crops(size: InputSize) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, size.height, size.width, generator=generator)


def answers(model: PoseModel, size: InputSize) -> tuple[Tensor, ...]:
    with torch.no_grad():
        outputs: tuple[Tensor, ...] = model(crops(size))
    return outputs


@each_kind
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_answers_at_any_size_with_the_bins_of_that_size(kind: str, size: InputSize) -> None:
    model = small_model(kind)
    cell = apply_policy(model, size, "native")
    assert (cell.input_size, cell.output_size) == (size, size)
    outputs = cell(crops(size))
    assert [tuple(each.shape) for each in outputs] == [
        (2, 17, 2 * size.width),
        (2, 17, 2 * size.height),
    ]
    decoded = model.spec.codec.decode(tuple(each.detach().numpy() for each in outputs), size)
    assert np.isfinite(decoded.keypoints).all()


@each_kind
def test_every_policy_but_resample_is_native(kind: str) -> None:
    spec = small_model(kind).spec
    policies: list[Policy] = [canonical_policy(spec, SIZES[3], policy) for policy in POLICIES]
    assert policies == ["native", "resample", "native", "native"]
    for policy in POLICIES:
        check_size(spec, 16, SIZES[3], policy)
    with pytest.raises(Exception, match="both sides must be multiples of the stride 16"):
        check_size(spec, 16, InputSize(96, 72), "native")


@each_kind
def test_a_file_of_another_size_answers_as_the_model_does_there(kind: str, tmp_path: Path) -> None:
    model, other = small_model(kind), SIZES[2]
    moved = PoseModel(replace(model.spec, input_size=other), model.backbone, model.head)
    save_checkpoint(tmp_path / "moved.safetensors", moved, {}, dtype=torch.float32)
    read = load_checkpoint(tmp_path / "moved.safetensors")
    with torch.no_grad():
        found = read.network(crops(other))
    assert all(torch.equal(*pair) for pair in zip(found, answers(model, other), strict=True))


@each_kind
def test_sides_that_are_no_multiples_of_the_stride_are_refused(kind: str) -> None:
    with pytest.raises(SpecError, match="multiples of 16, not 64x40"):
        small_model(kind, size=InputSize(64, 40))


@each_kind
def test_it_trains_under_inference_s_own_constants(kind: str) -> None:
    model, size = small_model(kind), InputSize(48, 48)
    with torch.inference_mode():
        model(crops(size))
    outputs = model.train()(crops(size))
    targets = tuple(torch.rand(each.shape) for each in outputs)
    loss = divergence_of_bins(outputs, targets, torch.ones(2, 17), LossSettings())
    loss.backward()
    without = [n for n, p in model.head.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def plain_and_table(size: InputSize = SIZE) -> tuple[PoseModel, PoseModel]:
    plain, table = small_model("simcc", size=size), small_model("simcc-table", size=size)
    return plain, table


def test_tables_begin_with_the_weights_of_plain_simcc() -> None:
    plain, table = plain_and_table()
    names = {"tables.x": "mlp_head_x", "tables.y": "mlp_head_y", "final_layer": "final_layer"}
    for name, own in names.items():
        weight = table.head.get_parameter(f"{name}.weight")
        assert torch.equal(weight.flatten(1), plain.head.get_parameter(f"{own}.weight").flatten(1))


@pytest.mark.parametrize("size", [SIZE, *SIZES], ids=str)
def test_tables_answer_as_the_policy_interpolate_does(size: InputSize) -> None:
    plain, table = plain_and_table()
    policy = plain if size == SIZE else interpolate_model(plain, size)
    for wanted, found in zip(answers(policy, size), answers(table, size), strict=True):
        assert float((wanted - found).abs().max()) == 0.0


@pytest.mark.parametrize("size", [SIZE, *SIZES], ids=str)
def test_coordinate_codes_are_the_formula_cell_by_cell(size: InputSize) -> None:
    model = small_model("simcc-coordinates")
    head = model.head
    assert isinstance(head, TableHead)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        maps = head.final_layer(model.backbone(crops(size))).double()
        tables: Any = head.tables.double()
        rows, columns = size.height // 16, size.width // 16
        for axis, (side, bins) in enumerate(((size.width, tables.x), (size.height, tables.y))):
            query = torch.zeros(2, 17, 64, dtype=torch.float64)
            for row in range(rows):
                for column in range(columns):
                    places = (16 * column + 7.5) / size.width, (16 * row + 7.5) / size.height
                    code = torch.tensor(
                        [
                            f(2 * math.pi * turns / 2 * place)
                            for place in places
                            for f in (math.cos, math.sin)
                            for turns in range(5)
                        ],
                        dtype=torch.float64,
                    )
                    cell = tables.cells(code)[64 * axis : 64 * axis + 64]
                    query += maps[:, :, row, column, None] * cell / (rows * columns)
            query += bins.added
            places_of_bins = torch.arange(2 * side, dtype=torch.float64) / 2 / side
            angles = math.pi * places_of_bins[:, None] * torch.arange(33)
            code = torch.cat((angles.cos(), angles.sin()), dim=1)
            logits = query @ bins.vector(code).T / 8 + bins.offset(code)[:, 0]
            wanted = logits - logits.median(dim=-1, keepdim=True).values
            head.float()
            found = answers(model, size)[axis]
            tables.double()
            torch.testing.assert_close(found.double(), wanted, rtol=0, atol=3e-5)


@pytest.mark.parametrize("kind", ["simcc-table", "simcc-coordinates"])
@pytest.mark.parametrize("size", [SIZE, *SIZES], ids=str)
def test_a_cell_runs_with_plain_tables_of_its_size(kind: str, size: InputSize) -> None:
    model = small_model(kind)
    cell = apply_policy(model, size, "native")
    assert isinstance(cell.network, PoseModel)
    assert [name for name, _ in cell.network.head.named_parameters()] == [
        "final_layer.weight",
        "final_layer.bias",
    ]
    for wanted, found in zip(answers(model, size), cell(crops(size)), strict=True):
        assert torch.equal(wanted, found.detach())
    plain = build_model(ModelSpec(BACKBONE, HeadSpec("simcc"), SimccCodec(), size)).eval()
    assert count_gflops(cell, size) == count_gflops(plain, size)


def test_codes_lie_where_cells_and_bins_do() -> None:
    layout, cpu = Layout(16, SimccCodec()), torch.device("cpu")
    across = cell_codes(layout, Grid(2, 3), 2.0, cpu)[:, :10].reshape(2, 3, 10)
    down = cell_codes(layout, Grid(2, 3), 2.0, cpu)[:, 10:].reshape(2, 3, 10)
    middles = torch.tensor([7.5, 23.5, 39.5])
    torch.testing.assert_close(across[1], fourier_code(middles / 48, 2.0))
    torch.testing.assert_close(down[:, 2], fourier_code(middles[:2] / 32, 2.0))
    x, y = bin_codes(layout, Grid(2, 3), 16.0, cpu)
    assert (x.shape, y.shape) == ((96, 66), (64, 66))
    torch.testing.assert_close(y, fourier_code(torch.arange(64) / 2 / 32, 16.0))


def test_a_marginal_moves_with_its_maps_and_does_not_see_the_size() -> None:
    model = small_model("simcc-marginal")
    column = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    features = torch.zeros(1, 16, 4, 16)
    features[..., 5] = column
    wider = torch.cat((features, torch.zeros(1, 16, 4, 4)), dim=-1)

    def seen(maps: Tensor, first: int) -> Tensor:
        """Return the bins of six cells, relative to the next cell's, away from the borders."""
        with torch.no_grad():
            cells: Tensor = model.head(maps)[0].unflatten(-1, (-1, 32))
        return cells[:, :, first : first + 6] - cells[:, :, first + 6, None]

    torch.testing.assert_close(seen(features.roll(3, dims=-1), 6), seen(features, 3))
    torch.testing.assert_close(seen(wider, 3), seen(features, 3))


def test_a_marginal_needs_whole_cells_of_even_bins() -> None:
    positions = quantile_positions(
        np.random.default_rng(0).uniform(0, 47, (99, 2)), (96, 128), SIZE
    )
    for codec in (SimccCodec(split_ratio=1.03), SimccCodec(positions=positions)):
        with pytest.raises(SpecError, match="whole number of evenly spaced bins"):
            small_model("simcc-marginal", codec)


@pytest.mark.parametrize("kind", ["simcc-table", "simcc-coordinates", "simcc-pooling"])
def test_bins_at_quantiles_are_the_same_at_any_size(kind: str) -> None:
    positions = quantile_positions(
        np.random.default_rng(0).beta(2, 5, (99, 2)) * 47, (24, 32), SIZE
    )
    model = small_model(kind, SimccCodec(positions=positions))
    for size in (SIZE, SIZES[3]):
        assert [each.shape[-1] for each in answers(model, size)] == [24, 32]


@pytest.mark.parametrize("bins", [7, 8])
def test_the_offset_is_the_lower_median_and_no_part_of_the_gradient(bins: int) -> None:
    logits = torch.randn(2, 3, bins, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = without_offset(logits)
    torch.testing.assert_close(found, logits - logits.median(dim=-1, keepdim=True).values)
    found.sum().backward()
    assert logits.grad is not None and bool((logits.grad == 1).all())


def test_targets_widen_with_the_size_where_places_are_fractions() -> None:
    wider = InputSize(128, 96)
    own = SimccCodec(sigma=(3.0, 4.0))
    for kind in HEADS:
        spec = ModelSpec(BACKBONE, HeadSpec(kind), own, SIZE)
        fractions = kind in ("simcc-table", "simcc-coordinates", "simcc-pooling")
        assert training_codec(spec, wider) == (replace(own, sigma=(6.0, 8.0)) if fractions else own)
        assert training_codec(spec, SIZE) == own
