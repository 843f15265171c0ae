"""Zoo entries and files: what an entry adds, and what it may not overrule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_networks import SIZE, config_text, make_model, save_mmpose
from small_onnx import save_heatmap

from posebench.checkpoints import Checkpoint, inspect_checkpoint, load_checkpoint
from posebench.checkpoints.findings import Finding
from posebench.checkpoints.zoo_facts import spec_facts, zoo_findings
from posebench.datasets.keypoints import COCO
from posebench.files.hashing import sha256_of
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec, FlipSpec
from posebench.zoo import find_published, published, published_checkpoints

DARK = find_published("mmpose/hrnet-w32_dark_coco_384x288")
UDP = find_published("mmpose/cspnext-m_coco_256x192")
BY_NAME = f"zoo entry {DARK.id} (same file name)"


def reasons(checkpoint: Checkpoint) -> dict[str, str]:
    return {field: why for field, _, why in checkpoint.evidence}


def bare(path: Path, kind: str) -> Path:
    """Write weights without any metadata."""
    torch.save(make_model(kind).state_dict(), path)
    return path


def test_what_the_file_cannot_say_comes_from_the_entry_of_its_name(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(bare(tmp_path / DARK.file_name, "heatmap"))
    spec = checkpoint.spec
    assert spec.input_size == InputSize(384, 288)
    assert spec.codec == HeatmapCodec(decoder="dark", sigma=3.0, blur_kernel=11)
    assert (spec.crop, spec.flip) == (CropSpec(), FlipSpec(True, True))
    why = reasons(checkpoint)
    fields = ("input_size", "codec.decoder", "crop.padding", "flip.shift_heatmap", "keypoints")
    assert {why[field] for field in fields} == {BY_NAME}
    assert why["backbone.family"] == "names and shapes"


def test_a_renamed_file_is_recognised_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bare(tmp_path / DARK.file_name, "heatmap")
    known = replace(UDP, sha256_prefix=sha256_of(path)[:8])
    monkeypatch.setattr(published, "published_checkpoints", lambda: (DARK, known))
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec.input_size == InputSize(256, 192)
    assert checkpoint.spec.crop.udp
    assert reasons(checkpoint)["codec.decoder"] == f"zoo entry {UDP.id} (same hash)"


def test_the_file_outranks_the_entry_and_spec_outranks_both(tmp_path: Path) -> None:
    path, spec = tmp_path / DARK.file_name, tmp_path / "spec.yaml"
    save_mmpose(path, "heatmap")
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec.input_size == SIZE
    assert checkpoint.spec.codec == HeatmapCodec(sigma=1.5)
    why = reasons(checkpoint)
    assert why["input_size"] == f"meta.cfg codec MSRAHeatmap; {BY_NAME} says 384x288"
    assert why["codec.decoder"] == f"meta.cfg codec MSRAHeatmap; {BY_NAME} says dark"
    assert why["crop.mean"] == "meta.cfg data_preprocessor"  # here both agree
    assert why["codec.blur_kernel"] == "meta.cfg codec MSRAHeatmap"
    assert inspect_checkpoint(path).evidence == checkpoint.evidence
    spec.write_text("input_size: 128x96\n")
    bare(path, "heatmap")
    checkpoint = load_checkpoint(path, spec)
    assert checkpoint.spec.input_size == InputSize(128, 96)
    assert isinstance(checkpoint.spec.codec, HeatmapCodec)
    assert checkpoint.spec.codec.decoder == "dark"


def test_another_network_under_a_published_name(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(bare(tmp_path / DARK.file_name, "simcc"))
    assert checkpoint.spec.codec == SimccCodec()
    assert checkpoint.spec.input_size == SIZE
    why = reasons(checkpoint)
    assert why["codec.kind"] == f"the kind of head; {BY_NAME} says heatmap"
    assert why["input_size"].endswith(f"{BY_NAME} says 384x288")
    crowdpose = find_published("mmpose/hrnet-w32_crowdpose_256x192")
    checkpoint = load_checkpoint(bare(tmp_path / crowdpose.file_name, "heatmap"))
    assert checkpoint.spec.keypoints == COCO
    assert reasons(checkpoint)["keypoints"].endswith("(same file name) says crowdpose")


def test_an_export_is_known_by_the_name_of_its_weights(tmp_path: Path) -> None:
    path = (tmp_path / DARK.file_name).with_suffix(".onnx")
    save_heatmap(path, ["n", 3, "h", "w"])
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec.input_size == InputSize(384, 288)
    assert isinstance(checkpoint.spec.codec, HeatmapCodec)
    assert checkpoint.spec.codec.decoder == "dark"
    assert reasons(checkpoint)["crop.udp"] == BY_NAME


def test_files_that_the_zoo_does_not_know_are_not_read_for_it() -> None:
    def read() -> tuple[Finding, ...]:
        raise AssertionError

    assert zoo_findings(Path("own.pth"), "0" * 64, read).added == ()


def test_every_entry_has_facts_laid_out_as_a_spec() -> None:
    for entry in published_checkpoints():
        facts = spec_facts(entry)
        assert facts["input_size"] == str(entry.input_size)
        assert facts["codec"]["kind"] == entry.paradigm
        assert facts["keypoints"] in (None, entry.keypoints)
    assert spec_facts(DARK)["keypoints"] == "coco"
    assert "MSRAHeatmap" in config_text("heatmap")
