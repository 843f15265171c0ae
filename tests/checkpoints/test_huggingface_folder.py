"""Folders that transformers writes: equal outputs, and the folders that are refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.huggingface_folder import MAX_CONFIG
from posebench.errors import CheckpointError, PosebenchError, SpecError
from posebench.files.hashing import sha256_of
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.heads import head_options
from posebench.networks.sizes import InputSize
from posebench.zoo import resolve

CROPS = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
MIXED = {"num_experts": 3, "part_features": 8}


@dataclass(frozen=True)
class Saved:
    """A folder that transformers wrote, and the outputs of its model."""

    folder: Path
    heatmaps: torch.Tensor


@pytest.fixture(scope="module", params=["classic", "simple", "plus"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    transformers = pytest.importorskip("transformers")
    backbone = transformers.VitPoseBackboneConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=[64, 48],
        out_indices=[2],
        **(MIXED if request.param == "plus" else {}),
    )
    config = transformers.VitPoseConfig(
        backbone_config=backbone, num_labels=17, use_simple_decoder=request.param == "simple"
    )
    torch.manual_seed(0)
    model = transformers.VitPoseForPoseEstimation(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
        coco = torch.zeros(len(CROPS), dtype=torch.long) if request.param == "plus" else None
        heatmaps = model(CROPS, dataset_index=coco).heatmaps
    folder = tmp_path_factory.mktemp("vitpose") / f"vitpose-{request.param}.v1"
    model.save_pretrained(folder)
    return Saved(folder, heatmaps)


def test_the_outputs_are_those_of_transformers(saved: Saved) -> None:
    checkpoint = load_checkpoint(resolve(str(saved.folder)))
    with torch.no_grad():
        (found,) = checkpoint.network(CROPS)
    gap = float((found - saved.heatmaps).abs().max() / saved.heatmaps.abs().max())
    assert gap < 1e-5
    assert (checkpoint.name, checkpoint.publisher) == (saved.folder.name, "huggingface")
    assert checkpoint.sha256 == sha256_of(saved.folder / "model.safetensors")
    spec = checkpoint.spec
    assert spec.input_size == InputSize(64, 48)
    assert spec.codec == HeatmapCodec(decoder="udp")
    assert spec.crop.udp
    assert not spec.flip.shift_heatmap
    # transformers' own default; ViTPose has 1e-6.
    assert spec.backbone.options["norm_eps"] == 1e-12
    dropped = {rule: len(names) for rule, names in checkpoint.report.dropped}
    plus = "plus" in saved.folder.name
    # Weight and bias of two experts in two layers.
    assert dropped == ({"experts and heads of other data sets than COCO": 8} if plus else {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder like transformers', made without it."""
    width, hidden = 16, 32
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.position_embeddings": (1, 13, width),
        "embeddings.patch_embeddings.projection.weight": (width, 3, 16, 16),
        "embeddings.patch_embeddings.projection.bias": (width,),
        "layernorm.weight": (width,),
        "layernorm.bias": (width,),
    }
    linear = {"attention.output.dense": (width, width), "mlp.fc1": (hidden, width)}
    linear |= {f"attention.attention.{name}": (width, width) for name in ("query", "key", "value")}
    for name, shape in {**linear, "mlp.fc2": (width, hidden)}.items():
        shapes[f"encoder.layer.0.{name}.weight"] = shape
        shapes[f"encoder.layer.0.{name}.bias"] = shape[:1]
    for name in ("layernorm_before", "layernorm_after"):
        shapes[f"encoder.layer.0.{name}.weight"] = shapes[f"encoder.layer.0.{name}.bias"] = (width,)
    tensors = {f"backbone.{name}": torch.zeros(shape) for name, shape in shapes.items()}
    tensors |= {"head.conv.weight": torch.zeros(17, width, 3, 3), "head.conv.bias": torch.zeros(17)}
    save_file(tensors, tmp_path / "model.safetensors")
    backbone = {
        "model_type": "vitpose_backbone",
        "image_size": [64, 48],
        "num_attention_heads": 4,
        "out_indices": [1],
        "out_features": ["stage1"],
    }
    write(tmp_path, {"model_type": "vitpose", "backbone_config": backbone})
    return tmp_path


def write(folder: Path, config: Any, name: str = "config.json") -> None:
    (folder / name).write_text(json.dumps(config))


def read(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def loaded_with(folder: Path, **changes: Any) -> Checkpoint:
    config = read(folder)
    own = {key: value for key, value in changes.items() if key in ("model_type", "scale_factor")}
    config["backbone_config"] |= {k: v for k, v in changes.items() if k not in own}
    write(folder, {**config, **own})
    return load_checkpoint(folder)


def test_the_config_is_read(folder: Path) -> None:
    write(folder, {"image_mean": [0.5, 0.5, 0.5], "size": {}}, "preprocessor_config.json")
    spec = loaded_with(folder, layer_norm_eps=1e-6, scale_factor=2, unknown=1).spec
    assert spec.backbone.options["norm_eps"] == 1e-6
    assert head_options(spec.head).upsample == 2
    assert spec.crop.mean == (127.5, 127.5, 127.5)
    assert spec.crop.std == (58.395, 57.12, 57.375)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "vit"}, "model_type"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"patch_size": [14, 14]}, "patch_size"),
        ({"image_size": "big"}, "image_size"),
        ({"image_size": [64, 64]}, "pos_embed is 1x12x16, the network's is 1x16x16"),
        ({"image_size": 10**9}, "not an input size"),
        ({"num_attention_heads": 5}, "16 channels in 5 heads"),
        ({"num_attention_heads": None}, "num_attention_heads"),
        ({"layer_norm_eps": "nan"}, "norm_eps"),
        ({"out_indices": [0]}, "feeds the head from 0"),
        ({"out_features": ["stem"]}, "feeds the head from stem"),
        ({"scale_factor": [4]}, "scale_factor"),
        ({"scale_factor": 0}, "1 or more"),
    ],
)
def test_configs_that_are_refused(changes: dict[str, Any], words: str, folder: Path) -> None:
    with pytest.raises(PosebenchError) as caught:
        loaded_with(folder, **changes)
    assert words in str(caught.value)


def test_backbones_must_be_described(folder: Path) -> None:
    write(folder, {"model_type": "vitpose"})
    with pytest.raises(SpecError, match="backbone_config"):
        load_checkpoint(folder)


@pytest.mark.parametrize("text", ["", "[1]", "[" * 100_000, "1" * (MAX_CONFIG + 1), "\xff"])
def test_texts_that_are_no_config(text: str, folder: Path) -> None:
    (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_checkpoint(folder)


def test_tensors_without_a_place(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["backbone.encoder.layer.0.attention.attention.key.bias"]
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"attn\.query\.bias"):
        load_checkpoint(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        load_checkpoint(folder)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"without a config\.json"):
        resolve(str(tmp_path))
