"""Files of the HRNet, SimpleBaseline and SimCC repositories: settings and outputs."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from key_lists import KEYS
from torch import Tensor
from toy_originals import RESNET_WIDTH, Toy

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.architecture import trained_size
from posebench.checkpoints.contents import check_shapes, empty_model
from posebench.checkpoints.findings import spec_from_findings
from posebench.checkpoints.publishers.publisher import TRAINING_STATE, StateFile
from posebench.checkpoints.publishers.simcc_original import SIMCC
from posebench.checkpoints.state_dicts import PUBLISHERS, identify_state
from posebench.errors import CheckpointError
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.costs import count_parameters
from posebench.networks.heads import head_options
from posebench.networks.heads.simcc import SimCCOptions
from posebench.networks.sizes import InputSize
from posebench.networks.spec import FlipSpec, HeadSpec

SIZE = (96, 64)
SIMDR = {"softmax": "each", "score": "max"}
SA_SIMDR = {"softmax": "mean", "score": "min"}


@dataclass(frozen=True)
class ToyFile:
    """A network of a repository, and the name that the repository would give its file."""

    file: str
    run: Callable[[Toy, Tensor], tuple[Tensor, ...]]
    channels: str
    codec: HeatmapCodec | SimccCodec


HEATMAP = HeatmapCodec(rules="hrnet")
TOYS = (
    ToyFile("pose_hrnet_w6_96x64.pth", lambda t, x: (t.final(t.hrnet(x), 17),), "rgb", HEATMAP),
    ToyFile(
        "pose_resnet_50_96x64.pth.tar",
        lambda t, x: (t.final(t.deconvolved(t.resnet(x)), 16),),
        "bgr",
        HEATMAP,
    ),
    ToyFile(
        "96x64_pose_resnet_50_caffe_d5d5d5.pth.tar",
        lambda t, x: (t.final(t.deconvolved(t.resnet(x, "caffe")), 17),),
        "bgr",
        HEATMAP,
    ),
    ToyFile(
        "nmt_res50_96x64_split_3_deconv3.pth",
        lambda t, x: t.vectors(t.final(t.deconvolved(t.resnet(x)), 17), SIZE, 3),
        "bgr",
        SimccCodec(split_ratio=3, softmax="each", score="max"),
    ),
    ToyFile(
        "simdr_upsample_free.pth",
        # Channel t of keypoint k is number 4k + t.
        lambda t, x: t.vectors(t.final(t.resnet(x), 4 * 17).unflatten(1, (17, 4)), SIZE, 2),
        "bgr",
        SimccCodec(softmax="each", score="max"),
    ),
    ToyFile(
        "w6_96x64_adam_lr1e-3_split1_5_sigma4.pth",
        lambda t, x: t.vectors(t.final(t.hrnet(x), 17), SIZE, 1.5),
        "rgb",
        SimccCodec(split_ratio=1.5, softmax="mean", score="min"),
    ),
)


def crops() -> Tensor:
    return torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def make(toy: ToyFile, folder: Path) -> tuple[Path, dict[str, Tensor], tuple[Tensor, ...]]:
    network = Toy()
    outputs = toy.run(network, crops())
    torch.save(network.state, folder / toy.file)
    return folder / toy.file, network.state, outputs


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.file)
def test_a_network_computes_what_its_paper_says(toy: ToyFile, tmp_path: Path) -> None:
    path, state, expected = make(toy, tmp_path)
    checkpoint = load_checkpoint(path)
    with torch.no_grad():
        found = checkpoint.network(crops())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-5 * float(other.abs().max()))
    spec = checkpoint.spec
    heatmap = isinstance(toy.codec, HeatmapCodec)
    assert checkpoint.publisher == ("hrnet-original" if heatmap else "simcc-original")
    assert checkpoint.report.mapped == len(state)
    assert (spec.codec, spec.input_size) == (toy.codec, InputSize(*SIZE))
    assert (spec.crop.channels, spec.crop.udp, spec.crop.padding) == (toy.channels, False, 1.25)
    assert spec.flip == FlipSpec(shift_heatmap=heatmap, shift_simcc=not heatmap)
    assert len(spec.keypoints) == (16 if toy is TOYS[1] else 17)


def test_several_channels_per_keypoint_are_found(tmp_path: Path) -> None:
    path, *_ = make(TOYS[4], tmp_path)
    checkpoint = load_checkpoint(path)
    assert head_options(checkpoint.spec.head) == SimCCOptions(channels_per_keypoint=4)
    why = {field: reason for field, _, reason in checkpoint.evidence}
    assert why["head.channels_per_keypoint"] == "128, 192 bins over 6 cells"


def test_a_training_checkpoint_has_its_weights_twice(tmp_path: Path) -> None:
    path, state, expected = make(TOYS[2], tmp_path)
    torch.save(
        {
            "epoch": 210,
            "model": "pose_hrnet",
            "state_dict": {f"module.{name}": tensor for name, tensor in state.items()},
            "best_state_dict": state,
            "perf": np.float64(0.7),
            "optimizer": {
                "state": {0: {"exp_avg": torch.zeros(3)}},
                "param_groups": [{"lr": 1e-3}],
            },
        },
        path,
    )
    checkpoint = load_checkpoint(path)
    others = ("epoch", "model", "best_state_dict", "perf", "optimizer")
    assert checkpoint.report.dropped == ((TRAINING_STATE, others),)
    with torch.no_grad():
        (found,) = checkpoint.network(crops())
    torch.testing.assert_close(found, expected[0], rtol=0, atol=2e-5 * float(found.abs().max()))


def test_a_heatmap_file_whose_name_has_no_size_is_asked_for_it(tmp_path: Path) -> None:
    path, *_ = make(TOYS[2], tmp_path)
    path, spec = path.rename(tmp_path / "model_best.pth"), tmp_path / "spec.yaml"
    with pytest.raises(CheckpointError, match="does not say: input_size"):
        load_checkpoint(path)
    spec.write_text("input_size: 128x96\n")
    assert load_checkpoint(path, spec).spec.input_size == InputSize(128, 96)


def test_files_of_repositories_built_on_these_are_named_after_their_decoder(tmp_path: Path) -> None:
    path, *_ = make(TOYS[2], tmp_path)
    spec = load_checkpoint(path.rename(tmp_path / "pose_resnet_50_96x64_dark.pth")).spec
    assert spec.codec == HeatmapCodec(decoder="dark", rules="hrnet")


def test_a_simcc_file_whose_name_has_no_kind_is_asked_for_it(tmp_path: Path) -> None:
    path, *_ = make(TOYS[3], tmp_path)
    path, spec = path.rename(tmp_path / "model_best.pth"), tmp_path / "spec.yaml"
    with pytest.raises(CheckpointError, match=r"SimDR .*or SA-SimDR") as caught:
        load_checkpoint(path)
    choices = [line for line in str(caught.value).splitlines() if line.strip().startswith("codec:")]
    for choice, codec in zip(choices, (SA_SIMDR, SIMDR), strict=True):
        spec.write_text(choice)
        found = load_checkpoint(path, spec).spec.codec
        assert found == SimccCodec(split_ratio=3, **codec)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        # Test configs of the SimCC repository, which names its trained files after them.
        ("nmt_w32_128x128_adam_lr1e-3_split2.pth", SIMDR),
        ("norm_nmt_res152_384x288_d256x3_adam_lr1e-3.pth", SIMDR),
        ("w48_256x192_adam_lr1e-3_split2_sigma4.pth", SA_SIMDR),
        ("res50_384x288_d256x3_adam_lr1e-3_deconv3_split2_sigma6.pth", SA_SIMDR),
        ("hrnet_w48_simdr_256x192.pth", SIMDR),
        ("SA-SimDR_hrnet_w48.pth", SA_SIMDR),
    ],
)
def test_the_kind_of_simcc_is_in_the_file_name(name: str, codec: dict[str, str]) -> None:
    found = SIMCC.find_settings(StateFile(name, {}, {}), {}, ())
    told = {f.field: f.value for f in found if f.field.startswith("codec.")}
    assert told == {f"codec.{field}": value for field, value in codec.items()}


def simcc_shapes(bins: tuple[int, int], inputs: int, channels: int) -> dict[str, tuple[int, ...]]:
    return {
        "head.final_layer.weight": (channels, 8, 1, 1),
        "head.mlp_head_x.weight": (bins[0], inputs),
        "head.mlp_head_y.weight": (bins[1], inputs),
    }


@pytest.mark.parametrize(
    ("width", "height", "ratio", "inputs", "channels", "stride"),
    [
        # IMAGE_SIZE, SIMDR_SPLIT_RATIO, HEAD_INPUT, NUM_JOINTS x CHANNEL_PER_JOINT of the configs.
        (192, 256, 2.0, 1344, 17 * 28, 32),
        (64, 64, 3.0, 128, 17 * 32, 32),
        (128, 128, 3.0, 512, 17 * 32, 32),
        (64, 64, 3.0, 256, 17, 4),
        (128, 128, 2.0, 1024, 17, 4),
        (192, 256, 2.0, 3072, 17, 4),
        (288, 384, 1.5, 6912, 17, 4),
        (256, 256, 2.0, 4096, 16, 4),
    ],
)
def test_sizes_of_the_published_configs(
    width: int, height: int, ratio: float, inputs: int, channels: int, stride: int
) -> None:
    shapes = simcc_shapes((int(width * ratio), int(height * ratio)), inputs, channels)
    found_size = trained_size(shapes, HeadSpec("simcc"), stride, None)
    found = {finding.field: finding.value for finding in found_size}
    assert found.pop("head.channels_per_keypoint", 1) == max(1, channels // 17)
    assert found == {"input_size": f"{height}x{width}", "codec.split_ratio": ratio}


def keys(name: str) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes that a repository builds from its config."""
    lines = gzip.decompress((KEYS / f"{name}.txt.gz").read_bytes()).decode().splitlines()
    rows = (line.split() for line in lines)
    return {row[0]: tuple(map(int, row[1].split("x"))) if row[1:] else () for row in rows}


@pytest.mark.parametrize(
    ("name", "family", "millions"),
    [
        # Parameters from the repositories' tables, which list none for the last two.
        ("hrnet_pose_hrnet_w32_256x192", "hrnet", 28.5),
        ("hrnet_pose_hrnet_w48_384x288", "hrnet", 63.6),
        ("hrnet_pose_resnet_50_256x192", "resnet", 34.0),
        ("hrnet_pose_resnet_101_256x192", "resnet", 53.0),
        ("hrnet_pose_resnet_152_256x192", "resnet", 68.6),
        ("simcc_simdr_res50_256x192", "resnet", 36.8),
        ("simcc_simdr_hrnet_w32_256x192", "hrnet", 31.3),
        ("simcc_simdr_res50_upfree_256x192", "resnet", None),
        ("simcc_sa_simdr_hrnet_w48_384x288", "hrnet", None),
    ],
)
def test_every_tensor_of_a_published_network_has_its_place(
    name: str, family: str, millions: float | None
) -> None:
    state: dict[str, Any] = {key: SimpleNamespace(shape=shape) for key, shape in keys(name).items()}
    file = StateFile(f"{name}.pth", state, {})
    identity = identify_state(file, ())
    assert identity.publisher == f"{name.partition('_')[0]}-original"
    spec = spec_from_findings(identity.findings, where=name)
    assert (spec.backbone.family, str(spec.input_size)) == (family, name.rpartition("_")[2])
    model = empty_model(spec)
    publisher = next(each for each in PUBLISHERS if each.recognise(file))
    report = check_shapes(model, publisher.sort_weights(file).shapes)
    assert (report.mapped, report.missing) == (len(state), ())
    if millions is not None:
        assert round(count_parameters(model) / 1e6, 1) == millions


def test_tokenpose_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "simdr_tokenpose_s_v2_256x192.pth"
    names = ("pre_feature.conv1.weight", "transformer.keypoint_token")
    torch.save({name: torch.zeros(1) for name in names}, path)
    with pytest.raises(CheckpointError, match="TokenPose"):
        load_checkpoint(path)


def test_a_layer_these_repositories_do_not_have_is_an_error(tmp_path: Path) -> None:
    path, state, _ = make(TOYS[1], tmp_path)
    torch.save({**state, "deconv_layers.0.bias": torch.zeros(RESNET_WIDTH)}, path)
    with pytest.raises(CheckpointError, match=r"no place in it: head\.deconv_layers\.0\.bias"):
        load_checkpoint(path)
