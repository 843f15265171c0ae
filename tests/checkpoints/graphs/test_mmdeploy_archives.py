"""MMDeploy's archives, made here from an exported network, and archives that try to do harm."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from posebench.checkpoints import inspect_checkpoint, load_checkpoint
from posebench.errors import CheckpointError
from posebench.networks.codecs import SimccCodec
from posebench.networks.sizes import InputSize
from posebench.zoo import resolve

FOLDER = "20230831/rtmpose_onnx/rtmpose-t_simcc/"
CODEC = {
    "type": "SimCCLabel", "input_size": [96, 128], "sigma": [3.0, 3.5], "simcc_split_ratio": 2.0,
    "normalize": False, "use_dark": False, "flip_test": True, "export_postprocess": False,
}  # fmt: skip
TRANSFORMS: list[dict[str, Any]] = [
    {"type": "LoadImageFromFile"},
    {"type": "TopDownGetBboxCenterScale", "padding": 1.1, "image_size": [96, 128]},
    {"type": "TopDownAffine", "image_size": [96, 128], "use_udp": True},
    {"type": "Normalize", "mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0], "to_rgb": False},
    {"type": "ImageToTensor", "keys": ["img"]},
]


def pipeline(**codec: Any) -> str:
    """Return a `pipeline.json` as MMDeploy writes it."""
    tasks = [
        {"type": "Task", "module": "Transform", "name": "Preprocess", "transforms": TRANSFORMS},
        {"type": "Task", "module": "Net", "name": "rtmpose", "input_map": {"img": "input"}},
        {"module": "mmpose", "component": "SimCCLabelDecode", "params": {**CODEC, **codec}},
    ]
    return json.dumps({"pipeline": {"input": ["img"], "output": ["post_output"], "tasks": tasks}})


DETAIL = json.dumps(
    {"version": "1.2.0", "codebase": {"pth": "/home/x/rtmpose-t.pth", "config": "/home/x/t.py"}}
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return an embedded SimCC network as the ONNX file that MMDeploy would make from it."""
    path = tmp_path_factory.mktemp("export") / "end2end.onnx"
    network = load_checkpoint(resolve("simcc-s")).network
    assert isinstance(network, torch.nn.Module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that this exporter is the old one
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 128, 96),),
            path,
            input_names=["input"],
            output_names=["simcc_x", "simcc_y"],
            dynamic_axes={name: {0: "batch"} for name in ("input", "simcc_x", "simcc_y")},
            dynamo=False,
        )
    return path.read_bytes()


def write_zip(path: Path, entries: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def write_archive(path: Path, graph: bytes, **codec: Any) -> Path:
    return write_zip(
        path,
        {
            f"{FOLDER}end2end.onnx": graph,
            f"{FOLDER}pipeline.json": pipeline(**codec),
            f"{FOLDER}detail.json": DETAIL,
            f"{FOLDER}deploy.json": "{}",
        },
    )


def test_an_archive_computes_what_its_network_does(exported: bytes, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "rtmpose-t.zip", exported)
    checkpoint = load_checkpoint(path)
    spec, original = checkpoint.spec, load_checkpoint(resolve("simcc-s"))
    assert (checkpoint.publisher, spec.backbone.family) == ("onnx", "onnx")
    assert spec.input_size == InputSize(128, 96)
    assert spec.codec == SimccCodec(split_ratio=2.0, sigma=(3.0, 3.5), normalize=False)
    assert (spec.crop.padding, spec.crop.udp, spec.crop.channels) == (1.1, True, "bgr")
    assert (spec.crop.mean, spec.crop.std) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert spec.flip.test
    why = {field: why for field, _, why in inspect_checkpoint(path).evidence}
    assert why["crop.mean"] == "pipeline.json data_preprocessor"
    assert why["crop.padding"] == "pipeline.json GetBBoxCenterScale"
    assert checkpoint.provenance["checkpoint"] == "rtmpose-t.pth"
    crops = torch.randn(3, 3, 128, 96)
    with torch.no_grad():
        expected = original.network(crops)
    for one, other in zip(checkpoint.network(crops), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * float(other.abs().max()))


def test_half_precision(exported: bytes, tmp_path: Path) -> None:
    """A float16 network whose weights become float32 along the way computes nearly the same."""
    model = onnx.load_from_string(exported)
    for each in model.graph.initializer:
        if each.data_type == onnx.TensorProto.FLOAT and len(each.dims) == 4:
            rounded = onnx.numpy_helper.to_array(each).astype("float16")
            name = each.name
            each.CopyFrom(onnx.numpy_helper.from_array(rounded, f"{name}_half"))
            cast = onnx.helper.make_node(
                "Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT
            )
            model.graph.node.insert(0, cast)
    full = load_checkpoint(write_archive(tmp_path / "full.zip", exported))
    half = load_checkpoint(write_archive(tmp_path / "half.zip", model.SerializeToString()))
    assert half.parameters == full.parameters
    crops = torch.randn(2, 3, 128, 96)
    for one, other in zip(half.network(crops), full.network(crops), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-2 * float(other.abs().max()))


def test_metadata_that_the_graph_contradicts_is_refused(exported: bytes, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "net.zip", exported, simcc_split_ratio=3.0)
    with pytest.raises(CheckpointError, match=r"split_ratio 3\.0, the graph has 2\.0"):
        load_checkpoint(path)


def test_an_archive_without_metadata_gets_defaults(exported: bytes, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "net.zip", {"end2end.onnx": exported})
    assert load_checkpoint(path).spec.crop.padding == 1.25


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"a.onnx": b"1", "b/c.onnx": b"2"}, r"2 networks, not one network \(a\.onnx, b/c\.onnx\)"),
        ({"inner.zip": b"PK"}, r"files to unpack, not one network \(inner\.zip\)"),
        ({"net.pth": b"PK"}, r"files to unpack, not one network \(net\.pth\)"),
        ({"net.xml": "<net version='11'/>"}, r"without its \.bin"),
        ({"end2end.onnx": b"\x08\x08", "pipeline.json": "[" * 100_000}, "damaged one"),
        ({"end2end.onnx": b"\x08\x08", "x/detail.json": "{}", "detail.json": "{}"}, "twice"),
        ({"end2end.onnx": bytes(64 * 2**20)}, "no network compresses like that"),
    ],
)
def test_archives_that_are_refused(
    entries: dict[str, str | bytes], words: str, tmp_path: Path
) -> None:
    path = write_zip(tmp_path / "net.zip", entries)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_nothing_is_written_even_if_names_point_elsewhere(exported: bytes, tmp_path: Path) -> None:
    place = tmp_path / "deep" / "deeper"
    place.mkdir(parents=True)
    path = write_zip(place / "net.zip", {"../../end2end.onnx": exported, "/abs.json": "{}"})
    before = sorted(tmp_path.rglob("*"))
    assert load_checkpoint(path).spec.input_size == InputSize(128, 96)
    assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path / "end2end.onnx").exists()


def test_an_entry_that_claims_100_gigabytes(exported: bytes, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bomb.zip", {"end2end.onnx": exported})
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    # Real size is field 24; 0xFFFFFFFF says that a 64-bit one follows in the extra field.
    name, extra = (
        int.from_bytes(data[central + at : central + at + 2], "little") for at in (28, 30)
    )
    assert extra == 0
    data[central + 24 : central + 28] = b"\xff\xff\xff\xff"
    data[central + 30 : central + 32] = (12).to_bytes(2, "little")
    at = central + 46 + name
    data[at:at] = b"\x01\x00\x08\x00" + (100 * 2**30).to_bytes(8, "little")
    end = data.rindex(b"PK\x05\x06")
    size = int.from_bytes(data[end + 12 : end + 16], "little") + 12
    data[end + 12 : end + 16] = size.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="claims 107374182400 bytes"):
        load_checkpoint(path)


def test_an_archive_cut_off_or_changed(exported: bytes, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "net.zip", exported)
    data = path.read_bytes()
    for share in (0.01, 0.3, 0.7, 0.999):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(CheckpointError, match="cut off"):
            load_checkpoint(path)
    changed = bytearray(data)
    changed[len(data) // 3] ^= 0xFF
    path.write_bytes(changed)
    with pytest.raises(CheckpointError, match="cut off, damaged"):
        load_checkpoint(path)
