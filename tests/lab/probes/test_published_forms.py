"""Probes on the published architectures at their full size, and on networks that are exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from posebench.checkpoints import load_checkpoint
from posebench.datasets.coco import PoseDataset
from posebench.datasets.requests import DataRequest, load_pose_dataset
from posebench.errors import UnsupportedProbeError
from posebench.lab.probes import PROBES, Subject, load_people, open_subject
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.model import build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec
from posebench.suites.probes import ProbeSettings

SETTINGS = ProbeSettings(people=6)
SIZE = InputSize(256, 192)
DECONVS: dict[str, Any] = {"deconv_channels": [256] * 3, "deconv_kernels": [4] * 3}
VIT = BackboneSpec(
    "vit",
    {
        "embed_dims": 384,
        "num_layers": 12,
        "num_heads": 12,
        "feedforward_channels": 1536,
        "img_size": "256x192",
    },
)
RTMPOSE = BackboneSpec("cspnext", {"deepen_factor": 0.167, "widen_factor": 0.375})
FORMS = {
    "rtmpose-t": ModelSpec(
        RTMPOSE, HeadSpec("rtmcc", {"final_layer_kernel": 7, "gau": {}}), SimccCodec(), SIZE
    ),
    "simcc-res50": ModelSpec(
        BackboneSpec("resnet"), HeadSpec("simcc", DECONVS), SimccCodec(sigma=(6.0, 6.93)), SIZE
    ),
    "hrnet-w32": ModelSpec(
        BackboneSpec("hrnet", {"width": 32}), HeadSpec("heatmap"), HeatmapCodec(), SIZE
    ),
    "vitpose-s-simple": ModelSpec(
        VIT, HeadSpec("heatmap", {"final_layer_kernel": 3, "upsample": 4}), HeatmapCodec(), SIZE
    ),
}


def dataset_in(folder: Path) -> PoseDataset:
    return load_pose_dataset(DataRequest(dataset=str(folder)), lambda _done, _total: None)


def readings(subject: Subject) -> dict[str, set[str] | None]:
    """Return the arms that each probe read, None where it found nothing to read."""
    found: dict[str, set[str] | None] = {}
    for name, probe in PROBES.items():
        try:
            found[name] = {row.arm for row in probe(subject, SETTINGS).rows}
        except UnsupportedProbeError:
            found[name] = None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_every_published_form_is_read_by_every_probe_that_fits(name: str, people: Path) -> None:
    spec = FORMS[name]
    model = build_model(spec)
    initialise(model, 0)
    found = readings(open_subject(model, load_people(dataset_in(people), spec, SETTINGS), 0))
    both = {"trained", "untrained"}
    assert found == {
        "identity": {"trained", "rounding"},
        "decay": {*both, "target"},
        "position-code": {*both, "target"} if spec.paradigm == "simcc" else None,
        "keypoint-vectors": both,
        "tokens": {*both, "pixels", "place"},
    }


@pytest.mark.parametrize(
    "name", ["ultralight_simplepose_256x192.onnx", "pp_tinypose_256x192/model.xml"]
)
def test_real_exported_networks_show_their_last_layer(
    shared_dir: Path, people: Path, name: str
) -> None:
    network = load_checkpoint(shared_dir / "data" / "weights" / name).network
    crops = load_people(dataset_in(people), network.spec, SETTINGS)
    assert readings(open_subject(network, crops, 0)) == {
        "identity": {"trained", "rounding"},
        "decay": {"trained", "target"},
        "position-code": None,
        "keypoint-vectors": {"trained"},
        "tokens": {"trained", "pixels", "place"},
    }
