"""RTMW: names and shapes of the reference's network, and other input sizes."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest
import torch
from key_lists import KEYS
from torch import Tensor

from posebench.checkpoints.architecture import find_architecture, keypoint_count, trained_size
from posebench.checkpoints.findings import nested_mapping
from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.errors import SpecError, UnsupportedSizeError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import SimccCodec
from posebench.networks.model import PoseModel, build_model
from posebench.networks.policies import apply_policy, check_size
from posebench.networks.resizing import interpolate_model, pool_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec, NeckSpec, spec_from_mapping

TRAINED = InputSize(128, 96)
SPEC = ModelSpec(
    BackboneSpec("cspnext", {"deepen_factor": 0.167, "widen_factor": 0.125}),
    HeadSpec("rtmw", {"final_layer_kernel": 7, "gau": {"hidden_dims": 32, "s": 16}}),
    SimccCodec(),
    TRAINED,
    neck=NeckSpec(blocks=1),
)


def small_model() -> PoseModel:
    model = build_model(SPEC).eval()
    initialise(model, 3)
    return model


def crops(size: InputSize) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, size.height, size.width, generator=generator)


def test_the_reference_s_network_is_found_from_its_names_and_shapes() -> None:
    lines = gzip.decompress((KEYS / "rtmw-m.txt.gz").read_bytes()).decode().splitlines()
    rows = (line.partition(" ") for line in lines)  # a name, and sides as 24x3x3x3
    shapes = {name: tuple(int(n) for n in sides.split("x") if n) for name, _, sides in rows}
    plain = nested_mapping(find_architecture(shapes))
    assert plain["backbone"]["options"] == {"deepen_factor": 0.67, "widen_factor": 0.75}
    head = HeadSpec(
        "rtmw",
        {"final_layer_kernel": 7, "gau": {"hidden_dims": 256, "s": 128, "expansion_factor": 2.0}},
    )
    assert plain["neck"] == {"kind": "cspnext-pafpn", "blocks": 2}
    assert keypoint_count(shapes, None) == 133
    size, ratio = trained_size(shapes, head, 32, None)
    assert (size.value, ratio.value) == ("256x192", 2.0)
    record = {**plain, "codec": {"kind": "simcc"}, "input_size": "256x192"}
    with torch.device("meta"):
        model = build_model(spec_from_mapping({**record, "keypoints": "coco-wholebody"}, where=""))
    assert {name: tuple(t.shape) for name, t in model.state_dict().items()} == shapes
    assert len(KEYPOINT_SETS["coco-wholebody"]) == 133


def test_at_the_trained_size_nothing_changes() -> None:
    model = small_model()
    with torch.no_grad():
        expected = model(crops(TRAINED))
        for other in (pool_model(model, TRAINED), interpolate_model(model, TRAINED)):
            for one, two in zip(expected, other(crops(TRAINED)), strict=True):
                torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("size", [InputSize(64, 64), InputSize(192, 160)])
def test_both_of_its_grids_follow_the_input(size: InputSize) -> None:
    model = small_model()
    with torch.no_grad():
        pooled = apply_policy(model, size, "pool")(crops(size))
        stretched = apply_policy(model, size, "interpolate")(crops(size))
    assert [output.shape[-1] for output in pooled] == [2 * TRAINED.width, 2 * TRAINED.height]
    assert [output.shape[-1] for output in stretched] == [2 * size.width, 2 * size.height]
    with pytest.raises(UnsupportedSizeError, match=r"mlp\.1, mlp2\.1, cls_x, cls_y"):
        check_size(SPEC, model.stride, size, "native")


def test_interpolated_weights_read_a_constant_map_as_before() -> None:
    # With equal weights for all cells of a grid, their sum is that of the trained grid at both
    # scales.
    model = small_model()
    layers = {"mlp.1": 4 * 3, "mlp2.1": 8 * 6}
    for name in layers:
        torch.nn.init.ones_(model.head.get_parameter(f"{name}.weight"))
    larger = interpolate_model(model, InputSize(256, 192)).head
    for name, cells in layers.items():
        weight = larger.get_parameter(f"{name}.weight")
        assert weight.shape == (16, 4 * cells)
        torch.testing.assert_close(weight.sum(1), torch.full((16,), float(cells)))


def test_a_neck_belongs_behind_a_whole_cspnext() -> None:
    with pytest.raises(SpecError, match="A simcc head takes the features of no neck"):
        build_model(replace(SPEC, head=HeadSpec("simcc")))
    with pytest.raises(SpecError, match="A rtmw head takes the features of the neck"):
        build_model(replace(SPEC, neck=None))
    backbone = BackboneSpec("resnet", {"depth": 18})
    with pytest.raises(SpecError, match="behind a whole CSPNeXt"):
        build_model(ModelSpec(backbone, SPEC.head, SimccCodec(), TRAINED, neck=NeckSpec()))
