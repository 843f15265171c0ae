"""SimCC networks at other sizes: identity at their own, the same place in the image elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from posebench.errors import UnsupportedSizeError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.heads import build_head, size_locked_layers
from posebench.networks.heads.simcc import SimCCHead
from posebench.networks.model import PoseModel, build_model
from posebench.networks.policies import POLICIES, apply_policy
from posebench.networks.resampling import cell_center, resample_matrix
from posebench.networks.resizing import interpolate_model, pool_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

SMALL = BackboneSpec("cspnext", {"deepen_factor": 0.2, "widen_factor": 0.125, "out_stage": 3})
TRAINED = InputSize(128, 96)
HEADS = {
    "simcc": HeadSpec("simcc"),
    "simcc_deconv": HeadSpec("simcc", {"deconv_channels": (8,), "deconv_kernels": (4,)}),
    "rtmcc": HeadSpec("rtmcc", {"final_layer_kernel": 7, "gau": {"hidden_dims": 32, "s": 16}}),
}


def model_of(head: HeadSpec, size: InputSize = TRAINED) -> PoseModel:
    codec = HeatmapCodec() if head.kind == "heatmap" else SimccCodec()
    model = build_model(ModelSpec(SMALL, head, codec, size)).eval()
    initialise(model, 3)
    return model


def crops(size: InputSize) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, size.height, size.width, generator=generator)


@pytest.mark.parametrize("head", HEADS)
def test_at_the_trained_size_nothing_changes(head: str) -> None:
    model = model_of(HEADS[head])
    with torch.no_grad():
        expected = model(crops(TRAINED))
        interpolated = interpolate_model(model, TRAINED)
        pooled = pool_model(model, TRAINED)(crops(TRAINED))
    state, changed = model.state_dict(), interpolated.state_dict()
    assert list(state) == list(changed)
    assert all(torch.equal(state[name], changed[name]) for name in state)
    for one, other in zip(expected, pooled, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("size", [InputSize(64, 48), InputSize(192, 144), InputSize(96, 96)])
@pytest.mark.parametrize("head", HEADS)
def test_other_sizes_run_and_leave_the_original_alone(head: str, size: InputSize) -> None:
    model = model_of(HEADS[head])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        pooled = apply_policy(model, size, "pool")(crops(size))
        interpolated = apply_policy(model, size, "interpolate")(crops(size))
    assert [tuple(output.shape) for output in pooled] == [(2, 17, 192), (2, 17, 256)]
    bins = [(2, 17, 2 * size.width), (2, 17, 2 * size.height)]
    assert [tuple(output.shape) for output in interpolated] == bins
    assert all(output.isfinite().all() for output in (*pooled, *interpolated))
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_only_size_locked_weights_are_copied() -> None:
    model = model_of(HEADS["simcc_deconv"])
    resized = interpolate_model(model, InputSize(64, 64))
    locked = {f"head.{layer.name}" for layer in size_locked_layers(HEADS["simcc"])}
    here, there = model.state_dict(), resized.state_dict()
    copied = {name for name in here if here[name].data_ptr() != there[name].data_ptr()}
    assert {name.rpartition(".")[0] for name in copied} == locked
    assert not any(module.training for module in resized.modules())


class Blob(nn.Module):
    """Stands in for a backbone: a Gaussian at a fraction of the image, by cells' middles."""

    out_channels, stride = 17, 16

    def __init__(self, at_x: float, at_y: float) -> None:
        super().__init__()
        self.at_x, self.at_y = at_x, at_y

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        rows = (torch.arange(0, height, self.stride) + 7.5) / height - self.at_y
        columns = (torch.arange(0, width, self.stride) + 7.5) / width - self.at_x
        blob = torch.exp(-(rows[:, None] ** 2 + columns**2) / (2 * 0.12**2))
        return blob.expand(len(x), 17, *blob.shape)


def located_model(at_x: float, at_y: float) -> PoseModel:
    """Return a SimCC model of 256x192 whose smooth weights find the blob."""
    size = InputSize(256, 192)
    spec = ModelSpec(SMALL, HEADS["simcc"], SimccCodec(), size)
    simcc = build_head(spec, in_channels=17, stride=16)
    assert isinstance(simcc, SimCCHead)
    assert simcc.final_layer is not None
    rows, columns = ((torch.arange(0, side, 16) + 7.5) / side for side in (size.height, size.width))
    cells = torch.cartesian_prod(rows, columns)
    with torch.no_grad():
        for layer, axis, side in ((simcc.mlp_head_x, 1, 192), (simcc.mlp_head_y, 0, 256)):
            bins = torch.arange(2 * side) / (2 * side)
            layer.weight.copy_(torch.exp(-((bins[:, None] - cells[:, axis]) ** 2) / (2 * 0.1**2)))
            layer.bias.zero_()
        simcc.final_layer.weight.copy_(torch.eye(17)[..., None, None])
        simcc.final_layer.bias.zero_()
    return PoseModel(spec, Blob(at_x, at_y), simcc).eval()


@pytest.mark.parametrize("policy", ["pool", "interpolate"])
@pytest.mark.parametrize("size", [InputSize(128, 96), InputSize(384, 288), InputSize(512, 384)])
@pytest.mark.parametrize(("at_x", "at_y"), [(0.5, 0.4), (0.35, 0.62)])
def test_smooth_weights_answer_the_same_place_and_magnitude(
    policy: str, size: InputSize, at_x: float, at_y: float
) -> None:
    model = located_model(at_x, at_y)
    resize = pool_model if policy == "pool" else interpolate_model
    with torch.no_grad():
        here = model(crops(model.spec.input_size))
        there = resize(model, size)(crops(size))
    for one, other in zip(here, there, strict=True):
        place = [float(vector[0, 0].argmax()) / vector.shape[-1] for vector in (one, other)]
        # With a cell's place at its first pixel, it would be at least 0.02 away.
        assert place[1] == pytest.approx(place[0], abs=0.01)
        # Clamping at the border changes the sum a little; without the cell count it would be 4
        # times off.
        assert float(other.max()) == pytest.approx(float(one.max()), rel=0.15)


def test_cells_of_a_mirrored_crop_are_the_mirrored_cells() -> None:
    stride, count = 16, 6
    places = (torch.arange(count) + cell_center(stride)) * stride
    assert torch.equal((count * stride - 1 - places).flip(0), places)


def test_resample_matrix_interpolates_linearly_and_stops_at_the_last_value() -> None:
    ramp = torch.arange(4.0)
    up = resample_matrix(4, 8, 0.5) @ ramp
    assert up.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0]
    down = resample_matrix(9, 5, 2.0) @ torch.arange(9.0)
    assert down[1:-1].tolist() == [2.0, 4.0, 6.0]
    # No value is skipped: alternating values average out instead of aliasing.
    alternating = resample_matrix(9, 5, 2.0) @ torch.tensor([1.0, -1.0] * 4 + [1.0])
    assert alternating[1:-1].abs().max() == 0.0


def test_half_precision_weights_stay_half() -> None:
    resized = interpolate_model(model_of(HEADS["rtmcc"]).half(), InputSize(64, 48))
    assert {value.dtype for value in resized.parameters()} == {torch.float16}


def test_cell_networks_say_their_sizes() -> None:
    model, size = model_of(HEADS["simcc"]), InputSize(64, 48)
    cells = {policy: apply_policy(model, size, policy) for policy in POLICIES[1:]}
    sizes = {policy: (cell.input_size, cell.output_size) for policy, cell in cells.items()}
    assert sizes == {
        "resample": (TRAINED, TRAINED),
        "pool": (size, TRAINED),
        "interpolate": (size, size),
    }
    assert cells["resample"].network is model
    assert all(cell.spec is model.spec and cell.stride == 16 for cell in cells.values())
    native = apply_policy(model_of(HeadSpec("heatmap")), size, "interpolate")
    assert (native.input_size, native.output_size) == (size, size)
    (heatmaps,) = native(crops(size))
    assert heatmaps.shape == (2, 17, 4, 3)


def test_what_cannot_run_is_an_error() -> None:
    model, size = model_of(HEADS["simcc"]), InputSize(64, 48)
    with pytest.raises(UnsupportedSizeError, match="bins are fixed"):
        apply_policy(model, size, "native")
    foreign = apply_policy(model, size, "resample")
    with pytest.raises(UnsupportedSizeError, match="cannot be changed"):
        apply_policy(foreign, size, "pool")
    with pytest.raises(UnsupportedSizeError, match="no size-locked layer"):
        interpolate_model(model_of(HeadSpec("heatmap")), size)
