"""Files of `torch.save`, whole and damaged, against `torch.load`."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from small_networks import save_mmpose

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.parsing.reading import open_torch_file, state_dicts_of
from posebench.errors import CheckpointError


def write_variety(path: Path, legacy: bool) -> None:
    base = torch.randn(6, 5)
    state = {
        "plain": base,
        "transposed": base.t(),
        "view": base[2:4, 1:],
        "shared": base,
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "half": base.half(),
        "bfloat": base.bfloat16(),
        "double": base.double(),
        "flags": base > 0,
        "bytes": torch.arange(5, dtype=torch.uint8),
        "short": torch.arange(5, dtype=torch.int16),
        "parameter": torch.nn.Parameter(base.clone()),
    }
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)


@pytest.mark.parametrize("legacy", [True, False])
def test_tensors_equal_torch_load(legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "variety.pth"
    write_variety(path, legacy)
    expected = torch.load(path, weights_only=True)
    with open_torch_file(path) as file:
        tree = state_dicts_of(file.tree, ["state_dict"])
        (state,) = tree.states.values()
        assert list(state) == list(expected)
        assert (tree.meta, tree.others) == ({}, ())
        for name, reference in state.items():
            tensor = file.tensor(reference)
            assert tensor.dtype == expected[name].dtype
            torch.testing.assert_close(tensor, expected[name].detach(), rtol=0, atol=0)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_file_cut_off_anywhere_is_an_error(legacy: bool, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.pth", tmp_path / "cut.pth"
    save_mmpose(whole, "heatmap", legacy)
    data = whole.read_bytes()
    load_checkpoint(whole)
    for share in (0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.999):
        cut.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(CheckpointError, match=r"cut\.pth"):
            load_checkpoint(cut)
    cut.write_bytes(data[:-1])
    with pytest.raises(CheckpointError):
        load_checkpoint(cut)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + b"\x00" * 600, "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"<html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-lfs"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"just some text, long enough", "not a checkpoint"),
        (pickle.dumps({"a": 1}, protocol=2), "not one that torch.save wrote"),
    ],
)
def test_files_that_are_no_checkpoints(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no file"):
        load_checkpoint(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        load_checkpoint(tmp_path)


def rewrite_zip(
    source: Path, target: Path, change: dict[str, bytes], compression: int = zipfile.ZIP_STORED
) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change.get(name.split("/", 1)[1], old.read(name)))


def test_zip_files_that_torch_would_not_write(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    save_mmpose(good, "heatmap", legacy=False)
    rewrite_zip(good, bad, {}, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed"):
        load_checkpoint(bad)
    rewrite_zip(good, bad, {"byteorder": b"big"})
    with pytest.raises(CheckpointError, match="big-endian"):
        load_checkpoint(bad)
    rewrite_zip(good, bad, {"data/0": b"tiny"})
    with pytest.raises(CheckpointError, match="the file holds 4 bytes"):
        load_checkpoint(bad)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("readme.txt", "no weights")
    with pytest.raises(CheckpointError, match=r"not one that torch\.save wrote"):
        load_checkpoint(bad)


def test_an_entry_that_claims_more_than_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    for field in (20, 24):
        data[central + field : central + field + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="claims 2147483648 bytes"):
        load_checkpoint(path)


def test_torchscript_programs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("script/constants.pkl", b"\x80\x02).")
        archive.writestr("script/data.pkl", b"\x80\x02}.")
    with pytest.raises(CheckpointError, match="TorchScript"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "not a mapping"),
        ({}, "no state dict"),
        ({"epoch": 3}, "'epoch' is a int"),
        ({"state_dict": {"a": "text"}}, "'a' is a str"),
        (torch.nn.Linear(2, 2), "an object of torch.nn.modules.linear.Linear"),
    ],
)
def test_torch_files_without_a_state_dict(content: object, words: str, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_a_zip_is_recognised_by_its_bytes_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.onnx"
    save_mmpose(path, "heatmap", legacy=False)
    assert load_checkpoint(path).publisher == "mmpose-1.x"


def test_legacy_storages_of_unread_tensors_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "runner.pth"
    stream = io.BytesIO()
    weights = {"a": torch.arange(4.0)}
    torch.save(
        {"optimizer": {"m": torch.ones(1000, dtype=torch.float64)}, "state_dict": weights},
        stream,
        _use_new_zipfile_serialization=False,
    )
    path.write_bytes(stream.getvalue())
    with open_torch_file(path) as file:
        tree = state_dicts_of(file.tree, ["state_dict"])
        assert tree.others == ("optimizer",)
        assert file.tensor(tree.states["state_dict"]["a"]).tolist() == [0, 1, 2, 3]
