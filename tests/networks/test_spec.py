"""`ModelSpec`: its parts, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_run import small_spec

from posebench.datasets.keypoints import CROWDPOSE
from posebench.errors import SpecError
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.heads import head_options
from posebench.networks.heads.heatmap import HeatmapOptions
from posebench.networks.heads.rtmcc import RTMCCOptions
from posebench.networks.heads.simcc import SimCCOptions
from posebench.networks.model import build_model
from posebench.networks.spec import (
    CropSpec,
    HeadSpec,
    spec_from_mapping,
    spec_overrides,
    spec_to_mapping,
)


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
def test_round_trip_through_yaml(paradigm: str) -> None:
    spec = small_spec(paradigm)
    text = yaml.safe_dump(spec_to_mapping(spec))
    assert spec_from_mapping(yaml.safe_load(text), where="x") == spec
    assert spec.paradigm == {"rle": "regression"}.get(paradigm, paradigm)


def test_keypoints_by_name_or_file(tmp_path: Path) -> None:
    plain = spec_to_mapping(small_spec("heatmap"))
    assert spec_from_mapping({**plain, "keypoints": "crowdpose"}, where="x").keypoints == CROWDPOSE
    path = tmp_path / "own.yaml"
    path.write_text("{name: own, keypoints: [a, b], sigmas: [1, 1], flip_pairs: [[a, b]]}")
    assert spec_from_mapping({**plain, "keypoints": str(path)}, where="x").keypoints.name == "own"


@pytest.mark.parametrize(
    "head",
    [
        {"kind": "heatmap", "deconv_channels": (8,)},
        {
            "kind": "heatmap",
            "deconv_channels": (8,),
            "deconv_kernels": (4,),
            "deconv_groups": (1, 1),
        },
        {"kind": "heatmap", "deconv_channels": (0,), "deconv_kernels": (4,)},
        {"kind": "heatmap", "final_layer_kernel": 0},
        {"kind": "rtmcc"},
        {"kind": "rtmcc", "gau": {"hidden_dims": 32, "steps": 16}},
        {"kind": "simcc", "upsample": 2},
        {"kind": "simcc", "deconv_chanels": (8,)},
        {"kind": "heatmap", "channels_per_keypoint": 4},
        {"kind": "simcc", "channels_per_keypoint": 0},
    ],
)
def test_heads_that_make_no_sense(head: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"Head|Options of the head"):
        head_options(HeadSpec.of(head))


def test_a_head_is_a_mapping_with_a_known_kind() -> None:
    plain = spec_to_mapping(small_spec("heatmap"))
    for broken in ("heatmap", {"upsample": 2}, {"kind": 1}):
        with pytest.raises(SpecError, match="head: must be a mapping"):
            spec_from_mapping({**plain, "head": broken}, where="x")
    with pytest.raises(SpecError, match="no kind of head 'heatmapp'") as caught:
        head_options(HeadSpec("heatmapp"))
    assert "heatmap" in (caught.value.hint or "")


def test_a_head_is_one_flat_mapping_in_files() -> None:
    head = HeadSpec("rtmcc", {"final_layer_kernel": 7, "gau": {"hidden_dims": 32, "s": 16}})
    spec = replace(small_spec("simcc"), head=head)
    plain = spec_to_mapping(spec)
    gau = {"hidden_dims": 32, "s": 16}
    assert plain["head"] == {"kind": "rtmcc", "final_layer_kernel": 7, "gau": gau}
    assert spec_from_mapping(plain, where="x") == spec


@pytest.mark.parametrize(
    ("own", "options"),
    [
        ({"kind": "heatmap", "deconv_channels": [8], "deconv_kernels": [4]}, HeatmapOptions),
        ({"kind": "simcc", "channels_per_keypoint": 4}, SimCCOptions),
        ({"kind": "rtmcc", "gau": {"s": 16}}, RTMCCOptions),
    ],
)
def test_heads_of_older_files_have_the_options_of_all_kinds(
    own: dict[str, Any], options: type[Any]
) -> None:
    once = {
        "deconv_channels": [],
        "deconv_kernels": [],
        "deconv_groups": [],
        "conv_channels": [],
        "conv_kernels": [],
        "final_layer_kernel": 1,
        "upsample": 1,
        "channels_per_keypoint": 1,
        "gau": None,
    }
    found = head_options(HeadSpec.of({**once, **own}))
    assert found == head_options(HeadSpec.of(own))
    assert isinstance(found, options)
    if own["kind"] != "heatmap":
        with pytest.raises(SpecError, match="upsample"):
            head_options(HeadSpec.of({**once, **own, "upsample": 2}))


@pytest.mark.parametrize(
    "crop",
    [
        {"padding": 0.0},
        {"padding": -1.25},
        {"padding": float("nan")},
        {"padding": float("inf")},
        {"std": (1.0, 0.0, 1.0)},
        {"std": (1.0, float("nan"), 1.0)},
        {"mean": (float("inf"), 0.0, 0.0)},
    ],
)
def test_crops_that_make_no_sense(crop: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="Crop"):
        CropSpec(**crop)


def test_a_head_needs_its_codec() -> None:
    with pytest.raises(SpecError, match="simcc head cannot be decoded by heatmap"):
        build_model(replace(small_spec("simcc"), codec=HeatmapCodec()))


def test_unknown_keys_name_the_nearest_at_any_depth() -> None:
    plain = spec_to_mapping(small_spec("heatmap"))
    plain["crop"]["paddding"] = 1.0
    with pytest.raises(SpecError, match=r"crop\.paddding.*'padding'"):
        spec_from_mapping(plain, where="x")


def test_overrides_are_any_subset(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("flip: {test: false}\n")
    assert spec_overrides(path) == {"flip": {"test": False}}


def test_specs_load_no_torch() -> None:
    modules = "posebench.networks.spec, posebench.results.cell"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
