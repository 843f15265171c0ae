"""Names and shapes of published ViTPose networks, as their publishers' own code builds them."""

from __future__ import annotations

import gzip
from types import SimpleNamespace
from typing import Any

import pytest
from key_lists import KEYS

from posebench.checkpoints.contents import check_shapes, empty_model
from posebench.checkpoints.findings import spec_from_findings
from posebench.checkpoints.publishers.publisher import StateFile
from posebench.checkpoints.state_dicts import PUBLISHERS, identify_state
from posebench.networks.backbones import describe
from posebench.networks.heads import head_options
from posebench.networks.sizes import InputSize

SIMPLE, CLASSIC = {"final_layer_kernel": 3, "upsample": 4}, {"deconv_channels": (256, 256)}
# From MMPose 1.3.2, ViTPose c050ed2 and transformers 5.23.0; with UDP, at 256x192.
FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "td-hm_ViTPose-small": ("mmpose-1.x", "ViT-S", CLASSIC),
    "td-hm_ViTPose-small-simple": ("mmpose-1.x", "ViT-S", SIMPLE),
    "td-hm_ViTPose-base": ("mmpose-1.x", "ViT-B", CLASSIC),
    "td-hm_ViTPose-base-simple": ("mmpose-1.x", "ViT-B", SIMPLE),
    "td-hm_ViTPose-large": ("mmpose-1.x", "ViT-L", CLASSIC),
    "td-hm_ViTPose-large-simple": ("mmpose-1.x", "ViT-L", SIMPLE),
    "td-hm_ViTPose-huge": ("mmpose-1.x", "ViT-H", CLASSIC),
    "td-hm_ViTPose-huge-simple": ("mmpose-1.x", "ViT-H", SIMPLE),
    "vitpose_base": ("vitpose", "ViT-B", CLASSIC),
    "vitpose_plus_small": ("vitpose", "ViT-S", CLASSIC),
    "huggingface_vitpose-base-simple": ("huggingface", "ViT-B", SIMPLE),
    "huggingface_vitpose-plus-base": ("huggingface", "ViT-B", CLASSIC),
}


def state_file(name: str) -> StateFile:
    lines = gzip.decompress((KEYS / f"{name}.txt.gz").read_bytes()).decode().splitlines()
    rows = (line.split() for line in lines)
    shapes = {row[0]: tuple(map(int, row[1].split("x"))) if row[1:] else () for row in rows}
    state = {key: SimpleNamespace(shape=shape) for key, shape in shapes.items()}
    return StateFile(name, state, {})


@pytest.mark.parametrize("name", FILES)
def test_every_tensor_of_a_published_network_has_its_place(name: str) -> None:
    publisher, backbone, head = FILES[name]
    file = state_file(name)
    identity = identify_state(file, ())
    assert identity.publisher == publisher
    spec = spec_from_findings(identity.findings, where=name)
    assert describe(spec.backbone) == backbone
    assert spec.input_size == InputSize(256, 192)
    assert {key: getattr(head_options(spec.head), key) for key in head} == head
    weights = next(each for each in PUBLISHERS if each.name == publisher).sort_weights(file)
    report = check_shapes(empty_model(spec), weights.shapes, weights.dropped)
    assert not (report.missing or report.unexpected or report.mismatched)
