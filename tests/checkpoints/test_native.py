"""posebench's own files: round trip, provenance, damage."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_networks import SPECS, make_crops, make_model

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.native import save_checkpoint
from posebench.errors import CheckpointError, SpecError
from posebench.networks.heads import add_learned_loss

PROVENANCE = {"recipe": "tiny", "seed": 3, "curve": [0.1, 0.2]}


def metadata_of(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        record: dict[str, Any] = json.loads(file.metadata()["posebench"])
    return record


def save_with(path: Path, record: Any, tensors: dict[str, torch.Tensor] | None = None) -> None:
    tensors = make_model("heatmap").state_dict() if tensors is None else tensors
    save_file(
        tensors, path, {"posebench": record if isinstance(record, str) else json.dumps(record)}
    )


@pytest.mark.parametrize("kind", sorted(SPECS))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-2), (torch.float32, 1e-6)])
def test_round_trip(kind: str, dtype: torch.dtype, tolerance: float, tmp_path: Path) -> None:
    path = tmp_path / "sub" / "small.safetensors"
    model = make_model(kind)
    save_checkpoint(path, model, PROVENANCE, dtype=dtype)
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec == SPECS[kind]
    assert checkpoint.provenance == PROVENANCE
    assert checkpoint.publisher == "posebench"
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.parameters == sum(p.numel() for p in model.parameters())
    assert list(path.parent.iterdir()) == [path]
    with torch.no_grad():
        found, expected = checkpoint.network(make_crops()), model(make_crops())
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        scale = float(other.abs().max())
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * scale)


def test_what_a_loss_learned_is_saved_and_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "trained.safetensors"
    model = make_model("rle")
    plain = set(model.state_dict())
    add_learned_loss(model.spec.head, model.head)
    save_checkpoint(path, model, PROVENANCE, dtype=torch.float32)
    flow = sorted(set(load_file(path)) - plain)
    assert flow
    checkpoint = load_checkpoint(path)
    ((rule, names),) = checkpoint.report.dropped
    assert (rule, sorted(names)) == ("training losses", flow)
    with torch.no_grad():
        assert torch.equal(checkpoint.network(make_crops())[0], model(make_crops())[0])


def test_matrices_are_half_and_statistics_are_not(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    model = make_model("heatmap")
    model.get_buffer("backbone.stem.0.bn.running_var").fill_(1e6)
    save_checkpoint(path, model, {})
    stored = load_file(path)
    assert stored["backbone.stem.0.conv.weight"].dtype == torch.float16
    assert stored["backbone.stem.0.bn.running_var"].tolist()[0] == 1e6


@pytest.mark.parametrize("value", [1e6, float("nan")])
def test_values_that_half_cannot_hold_are_not_written(value: float, tmp_path: Path) -> None:
    model = make_model("heatmap")
    with torch.no_grad():
        model.get_parameter("head.final_layer.weight").fill_(value)
    with pytest.raises(CheckpointError, match=r"head\.final_layer\.weight"):
        save_checkpoint(tmp_path / "bad.safetensors", model, {})
    assert not list(tmp_path.iterdir())


def test_damaged_files(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    save_checkpoint(good, make_model("heatmap"), {})
    data = good.read_bytes()
    for content in (data[:-5], data[:2000], data[:12], (2**62).to_bytes(8, "little") + data[8:]):
        bad.write_bytes(content)
        with pytest.raises(CheckpointError, match="damaged or cut off"):
            load_checkpoint(bad)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("{", "metadata of this file is damaged"),
        ("[" * 100_000, "metadata of this file is damaged"),
        ({"schema": 1}, "metadata of this file is damaged"),
        ({"schema": 99, "spec": {}}, "schema 99"),
        ({"schema": 1, "spec": {}}, "does not say: backbone.family"),
    ],
)
def test_metadata_that_cannot_be_used(record: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    save_with(path, record)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_files_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="does not say which network"):
        load_checkpoint(path)


def test_weights_that_do_not_fit_their_spec(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    save_checkpoint(good, make_model("heatmap"), {})
    record, tensors = metadata_of(good), load_file(good)
    save_with(bad, record, {**tensors, "extra": torch.zeros(2)})
    with pytest.raises(CheckpointError, match="no place in it: extra"):
        load_checkpoint(bad)
    save_with(bad, record, {**tensors, "head.final_layer.bias": torch.full((17,), float("inf"))})
    with pytest.raises(CheckpointError, match=r"first: head\.final_layer\.bias"):
        load_checkpoint(bad)
    record["spec"]["backbone"]["options"]["widen_factor"] = 5.0
    save_with(bad, record, tensors)
    with pytest.raises(CheckpointError, match="tensors of another shape"):
        load_checkpoint(bad)
    record["spec"]["backbone"]["familly"] = "x"
    save_with(bad, record, tensors)
    with pytest.raises(SpecError, match="familly"):
        load_checkpoint(bad)
